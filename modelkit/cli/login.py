"""modelkit login and logout"""

import sys

import click


@click.command("login")
@click.argument("host")
@click.option("-u", "--username", help="Asked for when not given.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--insecure", is_flag=True, help="Speak plain HTTP with the registry.")
def login_(host: str, username: str | None, password_stdin: bool, insecure: bool) -> None:
    """Check the credentials with the registry at HOST and keep them where docker keeps its own.

    \b
    Example: echo $TOKEN | modelkit login registry.example -u ci --password-stdin
    """
    from modelkit.registry.auth.login import login

    username = username or click.prompt("Username", err=True)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, err=True)
    where = login(host, username, password, insecure=insecure)
    click.echo(f"logged in to {host}; credentials kept by {where}")


@click.command("logout")
@click.argument("host")
def logout_(host: str) -> None:
    """Forget the credentials for the registry at HOST.

    \b
    Example: modelkit logout registry.example
    """
    from modelkit.registry.auth.login import logout

    known = logout(host)
    click.echo(f"logged out of {host}" if known else f"no credentials for {host}")
