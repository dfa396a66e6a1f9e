"""From the text a model writes to content, thoughts and calls of tools."""

from modelkit.serve.output.format import AnswerFormat, answer_format
from modelkit.serve.output.parser import Output, OutputParser

__all__ = ["AnswerFormat", "Output", "OutputParser", "answer_format"]
