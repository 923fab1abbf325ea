"""Image classification: preprocessing, pretrained applications, explanations."""
