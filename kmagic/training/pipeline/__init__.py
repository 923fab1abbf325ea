"""The fast pipeline; its only entry is ``pipeline_choice.choose_pipeline``."""
