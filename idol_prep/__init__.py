"""Dataset preparation: raw pictures and videos become prepared clips (``docs/dataset_format.md``)."""
