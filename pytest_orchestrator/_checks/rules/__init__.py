"""The rules of OpenAPI contracts: what is wrong with a document that could be read."""
