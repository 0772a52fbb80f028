"""Prepared data sets: documents to record files, shard by shard."""
