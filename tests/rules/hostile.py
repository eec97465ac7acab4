"""What nobody should be able to hurt us with: expressions and zones that have to be refused, by hand or by command."""

NEVER = ("0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30 2 */2")
OUT_OF_RANGE = (
    "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 32 * *", "0 0 * 13 *", "0 0 * * 8", "-1 * * * *", "*/0 * * * *",
    "*/99 * * * *", "61 0 0 * * *",
)  # fmt: skip
WRAPPED = ("5-1 * * * *", "0 22-2 * * *", "0 0 * * FRI-MON")
MISCOUNTED = ("", "   ", "* * * *", "* * * * * * *", "TZ=UTC 0 0 * * *", "0 0 * * * # comment")
MISSPELT = (
    "? * * * *", "H * * * *", "R 0 * * *", "0 0 15W * *", "0 0 L-3 * *", "0 0 * * 1#6", "1,,2 * * * *", "**/2 * * * *",
    "0 0 * * MON-", "0 0 * * FOO", "@reboot", "@never", "@every 0s", "@every 1w", "@every 99999999999999999999d",
)  # fmt: skip
NOT_PLAIN = ("٣ * * * *", "1_0 * * * *", "+5 * * * *", "0x5 * * * *", "1.5 * * * *", "0 0 * * *\n", "0 0\x0b* * *")
TERMS = ",".join(str(n % 60) for n in range(5_000)) + " * * * *"
MEGABYTE = "1," * 500_000 + "1 * * * *"
OVERSIZED = ("* * * * *" + " " * 192, TERMS, MEGABYTE, "@every " + "9" * 1_000_000 + "d", " " * 1_000_000)

EXPRESSIONS = (*NEVER, *OUT_OF_RANGE, *WRAPPED, *MISCOUNTED, *MISSPELT, *NOT_PLAIN, *OVERSIZED)
ZONES = ("../etc/passwd", "/etc/localtime", "x" * 300, "", "Europe/Berln", "UTC+3", "x" * 1_000_000)
