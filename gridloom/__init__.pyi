from gridloom.results import Results as Results

__version__: str
