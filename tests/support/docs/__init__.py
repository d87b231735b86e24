"""Small inputs of the names that the documentation uses, so that its commands run as they stand."""
