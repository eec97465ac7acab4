"""What libpq says when nobody is let in, told as cause and cure."""

import psycopg
import pytest

from scheduler.database.reaching import unreachable

URL = "postgresql://app:geheim@db:5432/jobs"
FATAL = 'connection failed: connection to server at "10.0.0.7", port 5432 failed: FATAL:  '


@pytest.mark.parametrize(
    ("said", "code", "cause"),
    [
        ('could not translate host name "db" to address: Name or service not known', "host", 'known as "db"'),
        ("failed to resolve host 'db': [Errno -2] Name or service not known", "host", 'known as "db"'),
        ("connection timeout expired", "timeout", "nothing answers there in time"),
        ('connection to server at "10.0.0.7", port 5432 failed: No route to host', "timeout", "in time"),
        (f"{FATAL}sorry, too many clients already", "full", "all its connections are in use"),
        (f'{FATAL}remaining connection slots are reserved for roles with the "pg_use_reserved_connections" attribute',
         "full", "all its connections"),
        (f'{FATAL}too many connections for database "jobs"', "full", "that its database may have are in use"),
        (f"{FATAL}the database system is starting up", "starting", "the database system is starting up"),
        (f"{FATAL}the database system is in recovery mode", "starting", "is in recovery mode"),
        (f'{FATAL}no pg_hba.conf entry for host "10.0.0.9", user "app", database "jobs", no encryption',
         "access", "does not let this role in from here without TLS"),
        (f'{FATAL}pg_hba.conf rejects connection for host "[local]", user "app", database "jobs", no encryption',
         "access", "does not let this role in from here."),
        (f'{FATAL}no pg_hba.conf entry for host "10.0.0.9", user "app", database "jobs", SSL encryption',
         "access", "does not let this role in from here."),
        (f'{FATAL}Peer authentication failed for user "app"', "access", "does not let this role in"),
        (f'{FATAL}permission denied for database "jobs"', "access", "does not let this role in"),
        (f'{FATAL}role "app" is not permitted to log in', "role", 'no role "app" that may log in'),
        (f'{FATAL}database "jobs" does not exist', "missing", 'no database "jobs"'),
        (f'{FATAL}password authentication failed for user "app"', "password", 'the password of role "app" is wrong'),
        ("connection failed: fe_sendauth: no password supplied", "password", "none is set"),
        ("SSL error: certificate verify failed", "tls", "TLS fails (certificate verify failed)"),
        ('root certificate file "/root.crt" does not exist\nEither provide the file', "tls", '"/root.crt" does not'),
        ('server certificate for "b" does not match host name "db"', "tls", 'does not match host name "db"'),
        ("server does not support SSL, but SSL was required", "tls", "the server offers none"),
        ("server closed the connection unexpectedly", "not-postgres", "hangs up at once"),
        (f"{FATAL}Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen", "unreachable", "fehlgeschlagen"),
        ("", "unreachable", "OperationalError"),
    ],
    ids=lambda value: value[-40:],
)  # fmt: skip
def test_each_cause_has_its_sentence(said: str, code: str, cause: str) -> None:
    obstacle = unreachable(URL, psycopg.OperationalError(said))
    assert obstacle.code == f"database-{code}"
    assert obstacle.says.startswith('The database "jobs" on db can\'t be reached: ')
    assert cause in obstacle.says
    assert obstacle.fix.endswith(".")
    assert "{" not in str(obstacle)
    assert "geheim" not in str(obstacle)


def test_of_several_hosts_the_words_of_any_count() -> None:
    error = psycopg.OperationalError(
        f"{FATAL}the database system is starting up\nMultiple connection attempts failed. All failures were:\n"
        "- host: 'a', port: '5432': connection failed: Connection refused"
    )
    assert unreachable(URL, error).code == "database-starting"
