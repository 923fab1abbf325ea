"""Files that Keras downloads into its cache."""
