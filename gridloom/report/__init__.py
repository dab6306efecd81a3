"""The report: one page for a browser that shows a whole study, offline."""
