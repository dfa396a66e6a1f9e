"""From a Modelfile to a model in the store."""
