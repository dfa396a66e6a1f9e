"""Finding mistakes in Modelfiles: `lint(text)` gives diagnostics, `fix(text)` mends some."""

from modelkit.lint.config import Config
from modelkit.lint.diagnostic import Diagnostic, Severity
from modelkit.lint.engine import Fixed, fix, lint

__all__ = ["Config", "Diagnostic", "Fixed", "Severity", "fix", "lint"]
