"""One HTML file that shows what a run made: no server, no network, opens from the disk."""

from cli.report.content import ClipPanel, Figure, Report, ReportTable, Track
from cli.report.page import build_page, write_page

__all__ = ["ClipPanel", "Figure", "Report", "ReportTable", "Track", "build_page", "write_page"]
