"""The ``idol`` command line. Only this package prints."""
