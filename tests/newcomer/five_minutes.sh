#!/usr/bin/env bash
# A newcomer's first five minutes, typed as they would be typed. Starts in an empty folder, with `scheduler` on the PATH.
set -euo pipefail

step() { printf '\n# %s\n' "$1"; }

die() {
    printf 'FAILED: %s\n' "$1" >&2
    tail -n 40 run.log >&2 2>/dev/null || true
    exit 1
}

# Until the command succeeds, for 30 seconds at most.
eventually() {
    local deadline=$((SECONDS + 30))
    until "$@"; do
        ((SECONDS < deadline)) || die "it never came true: $*"
        sleep 0.1
    done
}

# Whether the text on stdin has each of the arguments in it.
shows() {
    local text expected
    text=$(cat)
    printf '%s\n' "$text"
    for expected in "$@"; do
        [[ $text == *"$expected"* ]] || die "there is no '$expected' above"
    done
}

start() {
    scheduler run >>run.log 2>&1 &
    running=$!
}

stop() {
    kill -TERM "$running"
    wait "$running" || die "\`scheduler run\` did not end well"
    running=
}

running=
trap '[ -z "$running" ] || kill -KILL "$running"' EXIT

# The id of an execution of that handler, if one has succeeded.
success_of() {
    scheduler jobs list --handler "$1" --status success --limit 1 --json | grep -o '"id": [0-9]*' | grep -o '[0-9]*'
}

step "A project, and what it says to type next"
scheduler init shop --yes | shows handlers/hello.py "scheduler run"
cd shop

step "It lives: the cron job of the first handler succeeds"
start
id=$(eventually success_of hello)
scheduler jobs list | shows "$id" hello SUCCESS

step "Two handlers of one's own, one of which has a mistake in it"
cat >handlers/greet.py <<'PYTHON'
from scheduler import handler


@handler("greet")
async def greet(params: dict):
    return {"greeting": f"Hello {params['name']}!"}
PYTHON
cat >handlers/invoice.py <<'PYTHON'
from scheduler import handler


@handler("invoice", max_retry=1)
def invoice(params: dict):
    return {"total": sum(line["price"] * line["count"] for line in params["lnes"])}
PYTHON
stop
start

step "A cron job is a row; a second later, so is its result"
scheduler db psql -c "
    INSERT INTO cron_jobs (name, cron_expression, handler_name, handler_params)
    VALUES ('greet Ada', '* * * * * *', 'greet', '{\"name\": \"Ada\"}')" | shows "INSERT 0 1"
id=$(eventually success_of greet)
scheduler jobs show "$id" | shows "greet Ada" SUCCESS '"greeting": "Hello Ada!"'
scheduler cron pause "greet Ada"
scheduler cron list | shows "@every 5s" paused

step "The other one fails, and its traceback says where"
id=$(scheduler jobs enqueue invoice '{"lines": [{"price": 12.5, "count": 2}]}')
if scheduler jobs wait "$id" --for 30; then die "an execution that fails must not look fine"; fi
scheduler jobs show "$id" | shows FAILED "KeyError: 'lnes'" "handlers/invoice.py\", line 6, in invoice"

step "Mended and tried again, it succeeds"
sed -i.before 's/lnes/lines/' handlers/invoice.py
stop
start
scheduler jobs retry "$id"
scheduler jobs wait "$id" --for 30 | shows SUCCESS
scheduler jobs show "$id" | shows '"total": 25' "KeyError: 'lnes'"

step "And the day is done"
stop
