"""What Keras fetches into its cache: which file, from where, how far it is, and why not."""
