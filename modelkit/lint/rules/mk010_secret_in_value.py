"""A value looks like a password or an access token.

## What it does

Reports values with access tokens of well-known services and with private keys.

## Why is this bad

Values become layers of the model. Whoever pulls the model can read them.

## Example

```
FROM llama3.2
SYSTEM The token is hf_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX
```

## Use instead

```
FROM llama3.2
SYSTEM Ask the user for the token.
```

## Fix

None: remove the secret, and revoke it if the file was shared.
"""

import re
from collections.abc import Iterator

from modelkit.lint.context import Context
from modelkit.lint.diagnostic import Finding, Severity
from modelkit.syntax import Span

SEVERITY = Severity.ERROR

_SECRETS = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{30,64}",
    "an API key": r"\bsk-[A-Za-z0-9_-]{20,200}",
    "a Google API key": r"\bAIza[A-Za-z0-9_-]{35}",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,255})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}",
    "an AWS access key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,250}",
    "a private key": r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----",
}
_SHORTEST = 15
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _SECRETS.items()}


def check(context: Context) -> Iterator[Finding]:
    """Secrets by their known shapes."""
    for entry in context.document.entries:
        if len(entry.value) < _SHORTEST:
            continue
        for kind, pattern in _PATTERNS.items():
            for secret in pattern.finditer(entry.node.text):
                start = entry.node.text_start
                yield Finding(
                    Span(start + secret.start(), start + secret.end()),
                    f"this looks like {kind}",
                    "whoever gets the model can read it; remove it, and revoke it if shared",
                )
