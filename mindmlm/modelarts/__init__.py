"""Jobs whose data and results lie in an object store: download once, train, upload as it comes."""
