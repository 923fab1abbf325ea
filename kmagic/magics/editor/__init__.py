"""What JupyterLab's editor shows in ``%%keras_model`` cells: shapes, mistakes, and help."""
