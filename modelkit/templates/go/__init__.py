"""Go's text/template as Ollama uses it: parsed with Lark, checked, compiled to closures."""
