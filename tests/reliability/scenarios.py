"""The catalogue of faults: what is done to the scheduler, and the tests that prove what must hold then."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    id: str
    done: str
    """What is done to it."""
    tests: tuple[str, ...]
    """Ids of tests: a file, or a file and a function."""
    note: str = ""
    """What a test doesn't show, and the command that does."""


FAULTS, LIFECYCLE, SERVICES, ISOLATION = "tests/faults", "tests/lifecycle", "tests/services", "tests/isolation"
SCENARIOS = (
    Scenario(
        "S01",
        "twenty claimers and one row",
        (
            f"{LIFECYCLE}/test_claim.py::test_twenty_claimers_and_one_row_make_one_claim",
            f"{LIFECYCLE}/test_claim.py::test_claimers_share_a_backlog_without_waiting_for_each_other",
        ),
    ),
    Scenario(
        "S02",
        "workers killed with SIGKILL, at random and between any two steps",
        (
            f"{FAULTS}/test_crash.py::test_what_a_killed_worker_held_is_done_by_the_other_and_recorded_once",
            f"{FAULTS}/test_crash.py::test_a_worker_that_dies_between_two_steps_leaves_nothing_half_done",
            "tests/chaos/test_short.py",
            f"{FAULTS}/test_limits.py",
            f"{FAULTS}/test_batch.py",
        ),
        "`./dev chaos --minutes 10 --seed N`: every kind of fault at once (docs/chaos.md).",
    ),
    Scenario("S03", "a worker frozen past its lease, which then goes on", (f"{FAULTS}/test_zombie.py",)),
    Scenario(
        "S04",
        "an outcome written while the rescuer is about to take the row",
        (
            f"{SERVICES}/test_rescuer.py::test_what_is_settled_between_the_look_and_the_rescue_stays_settled",
            f"{SERVICES}/test_rescuer.py::test_what_is_being_settled_is_left_alone",
        ),
    ),
    Scenario(
        "S05",
        "the heartbeat of a worker that was declared lost",
        (
            "tests/store/test_workers.py::test_what_is_over_stays_over",
            f"{SERVICES}/test_heartbeat.py::test_who_was_marked_lost_goes_on_as_somebody_else",
        ),
    ),
    Scenario("S06", "a row returned by hand while its attempt still runs", (f"{FAULTS}/test_operator.py",)),
    Scenario(
        "S07",
        "the connection cut before the claim's commit, or its answer lost",
        (
            f"{FAULTS}/test_connections.py::test_one_outcome_whatever_message_is_lost",
            f"{FAULTS}/test_connections.py::test_a_worker_that_does_not_read_what_became_of_it_is_noticed",
            f"{LIFECYCLE}/test_claim_unanswered.py",
        ),
    ),
    Scenario(
        "S08",
        "every backend of a worker terminated while jobs run",
        (
            f"{FAULTS}/test_connections.py::test_a_worker_whose_backends_are_all_terminated_finishes_the_same_attempt",
            f"{FAULTS}/test_connections.py::test_every_connection_cut_at_random_moments_of_a_long_queue",
        ),
    ),
    Scenario(
        "S09",
        "the database away when handlers end, for less than a lease and for more",
        (f"{FAULTS}/test_database_away.py",),
    ),
    Scenario(
        "S10",
        "the server crashed again and again, as by `restart -m immediate`",
        (f"{FAULTS}/test_postgres_restart.py",),
    ),
    Scenario(
        "S11",
        "the database loses its latest commits",
        (f"{FAULTS}/test_lost_tail.py",),
        "The tables are set back under live workers; no standby is promoted.",
    ),
    Scenario(
        "S12",
        "a database with a statement, a lock and an idle timeout of a second or two",
        (f"{FAULTS}/test_connections.py::test_impatient_settings_of_the_database_stop_nothing",),
    ),
    Scenario(
        "S13",
        "two write the same outcomes in opposite orders beside a rescuer",
        (
            f"{LIFECYCLE}/test_settle_overlap.py",
            "tests/operations/test_bulk.py",
        ),
    ),
    Scenario(
        "S14",
        "SIGTERM with short and long jobs",
        (
            f"{FAULTS}/test_shutdown.py::test_short_work_ends_and_long_work_is_handed_back",
            f"{SERVICES}/test_drain.py::test_short_ones_finish_and_long_ones_are_handed_back",
        ),
    ),
    Scenario(
        "S15",
        "SIGTERM while it starts, twice, and with handlers that will not stop",
        (
            f"{FAULTS}/test_shutdown.py::test_terminated_before_it_has_begun_it_just_ends",
            f"{FAULTS}/test_shutdown.py::test_a_second_signal_ends_it_within_a_second",
            f"{FAULTS}/test_shutdown.py::test_a_second_signal_hands_back_what_will_not_stop",
            f"{SERVICES}/test_stopping.py",
        ),
    ),
    Scenario("S16", "a timeout at an await", (f"{LIFECYCLE}/test_run.py::test_a_timeout_ends_what_waits",)),
    Scenario(
        "S17",
        "a timeout and an end in the same millisecond",
        (f"{LIFECYCLE}/test_run.py::test_timeout_and_end_at_the_same_moment_are_one_outcome",),
    ),
    Scenario(
        "S18",
        "handlers that loop or wait for ever, in a thread, in a task, in a process",
        (
            f"{LIFECYCLE}/test_run.py::test_a_timeout_is_told_on_time_though_the_handler_goes_on",
            f"{FAULTS}/test_supervisor.py::test_a_blocked_loop_is_charged_to_the_one_that_blocks_it",
            f"{FAULTS}/test_health.py::test_the_supervisor_replaces_a_worker_whose_slots_all_hang",
            f"{ISOLATION}/test_kill.py::test_sigterm_ends_a_loop_and_says_where",
            f"{ISOLATION}/test_kill.py::test_what_hears_nothing_is_killed",
        ),
    ),
    Scenario(
        "S19",
        "a handler that ends its worker's process",
        (
            f"{FAULTS}/test_crash.py::test_a_job_that_kills_its_worker_is_tried_apart_and_costs_its_neighbours_one_try",
            f"{FAULTS}/test_bad_input.py::test_a_handler_cannot_end_its_worker",
            f"{ISOLATION}/test_process.py::test_a_handler_that_ends_its_process_ends_nothing_else",
        ),
    ),
    Scenario(
        "S20",
        "a handler whose child processes outlive it",
        (
            f"{ISOLATION}/test_kill.py::test_what_it_started_is_killed_with_it",
            f"{ISOLATION}/test_kill.py::test_what_it_started_goes_when_it_ends_in_any_other_way",
            f"{ISOLATION}/test_process.py::test_children_inherit_neither_descriptors_nor_ignored_signals",
        ),
    ),
    Scenario(
        "S21",
        "a handler that nobody has, or whose params don't fit",
        (
            f"{FAULTS}/test_bad_input.py::test_a_handler_that_nobody_has_waits_for_one_who_has",
            f"{FAULTS}/test_bad_input.py::test_params_that_do_not_fit_fail_at_once",
        ),
    ),
    Scenario("S22", "tables of another version", ("tests/schema/test_migration.py",)),
    Scenario(
        "S23",
        "planners killed and restarted at random",
        (f"{FAULTS}/test_ticks.py",),
        "For five minutes: `SCHEDULER_TEST_LONG=1 ./dev test tests/faults/test_ticks.py --timeout 900`.",
    ),
    Scenario(
        "S24",
        "two workers with the same name, host and process number",
        (f"{SERVICES}/test_heartbeat.py::test_of_two_with_the_same_name_each_has_its_own_lease",),
    ),
    Scenario(
        "S25",
        "a planner frozen between computing a tick and inserting it",
        (f"{LIFECYCLE}/test_plan_faults.py::test_two_planners_at_the_same_moment_make_each_tick_once",),
    ),
    Scenario("S26", "hosts whose clocks are wrong by an hour", (f"{FAULTS}/test_clocks.py",)),
    Scenario(
        "S27",
        "the database's clock set forward and back",
        (
            f"{LIFECYCLE}/test_plan.py::test_a_clock_that_is_set_back_plans_nothing_twice",
            "tests/schema/test_triggers.py::test_a_pause_while_the_clock_is_back_does_not_plan_anew_what_was_planned",
            f"{LIFECYCLE}/test_claim.py::test_the_bound_comes_down_with_a_clock_that_was_set_back",
            f"{SERVICES}/test_rescuer.py::test_a_jump_of_the_databases_clock_begins_the_interval_anew",
        ),
    ),
    Scenario(
        "S28",
        "a cron job edited, disabled and deleted at its due instant",
        (f"{FAULTS}/test_ticks_edits.py",),
        "A thousand times: `SCHEDULER_TEST_LONG=1 ./dev test tests/faults/test_ticks_edits.py --timeout 900`.",
    ),
    Scenario(
        "S29",
        "nobody plans for three hours",
        (f"{LIFECYCLE}/test_plan.py::test_an_outage_of_three_hours_is_made_up_as_the_row_says",),
    ),
    Scenario(
        "S30", "jobs slower than their interval, failing, retried and rescued", (f"{FAULTS}/test_ticks_overlap.py",)
    ),
    Scenario(
        "S31",
        "thousands of cron jobs due in one second",
        (f"{FAULTS}/test_ticks_load.py::test_thousands_due_in_one_second_are_planned_once_and_soon",),
        "Ten thousand: `SCHEDULER_TEST_LONG=1 ./dev test -s tests/faults/test_ticks_load.py --timeout 900`.",
    ),
    Scenario(
        "S32",
        "hostile expressions, by hand",
        (
            f"{FAULTS}/test_ticks_hostile.py",
            f"{LIFECYCLE}/test_plan_faults.py::test_an_oversized_row_weighs_nothing",
        ),
    ),
    Scenario(
        "S33",
        "unknown zones, and other zone data",
        (
            f"{LIFECYCLE}/test_plan_faults.py::test_what_can_not_be_planned_is_marked_and_the_others_go_on",
            f"{LIFECYCLE}/test_plan.py::test_other_zone_data_computes_the_ticks_anew",
        ),
    ),
    Scenario(
        "S34",
        "return values and errors that no row can hold",
        (
            "tests/handlers/test_results.py",
            "tests/handlers/test_faults.py",
            f"{FAULTS}/test_bad_input.py::test_a_result_that_is_not_json_is_stored_as_far_as_it_goes",
            f"{FAULTS}/test_bad_input.py::test_what_postgres_refuses_in_a_text_is_replaced",
            f"{FAULTS}/test_hostile.py::test_every_end_is_an_outcome_and_costs_its_neighbours_nothing",
            "tests/lifecycle/test_hostile_ends.py",
        ),
        "What may be stored, and what becomes of the rest: [limits.md](limits.md).",
    ),
    Scenario(
        "S35",
        "huge params, results, messages and tracebacks",
        (
            "tests/schema/test_limits.py::test_a_hundred_megabytes_of_params_are_refused",
            "tests/handlers/test_results.py::test_a_large_result_keeps_its_length_its_digest_and_its_head",
            "tests/handlers/test_faults.py::test_of_ten_thousand_calls_the_last_are_shown_and_the_others_counted",
            "tests/handlers/test_faults.py::test_groups_and_endless_recursion_stay_small",
            f"{FAULTS}/test_hostile.py::test_a_hundred_megabytes_leave_nothing_behind_in_the_worker",
        ),
        "While it is turned into JSON, a result is there twice.",
    ),
    Scenario(
        "S36",
        "long, empty and look-alike keys and names",
        ("tests/schema/test_limits.py", "tests/store/test_checks.py", "tests/schema/test_constraints.py"),
    ),
    Scenario(
        "S37",
        "text that means something to SQL, formats and terminals",
        (
            "tests/cli/test_literal_texts.py",
            "tests/cli/test_hostile_rows.py",
            f"{FAULTS}/test_hostile.py::test_a_text_that_means_something_elsewhere_is_stored_and_logged_as_it_is",
        ),
    ),
    Scenario(
        "S38",
        "the disk is full",
        (f"{FAULTS}/test_disk_full.py",),
        "Where root may mount a small disk; elsewhere it is skipped.",
    ),
    Scenario(
        "S39",
        "no connection left for the worker",
        (f"{FAULTS}/test_scarce.py::test_with_too_few_connections_it_waits_and_recovers",),
    ),
    Scenario(
        "S40",
        "handlers hold every connection of their pool for three leases",
        (f"{FAULTS}/test_scarce.py::test_a_heartbeat_needs_none_of_the_handlers_connections",),
    ),
    Scenario(
        "S41",
        "a session that holds back vacuum for an hour",
        (),
        "A matter of speed: `./dev bench held_back --minutes 60` tells by the minute how long work waits meanwhile.",
    ),
    Scenario(
        "S42",
        "forty-eight hours of load",
        (),
        "`./dev chaos --minutes 2880 --seed 1`, and faults all the while. The longest run so far took ten minutes.",
    ),
    Scenario(
        "S43",
        "the server's queue of notifications fills up",
        ("tests/doctor",),
        "Eight gigabytes can't be filled in a test; `scheduler doctor` warns from a tenth on, and polling needs none.",
    ),
    Scenario(
        "S44",
        "a LISTEN connection that ends, is silent, or is half open",
        (
            f"{SERVICES}/test_listener.py::test_a_connection_that_ended_is_opened_anew_and_rings",
            f"{FAULTS}/test_listen.py",
        ),
        "Half open for as long as it takes to notice, not for ten minutes.",
    ),
    Scenario(
        "S45",
        "PgBouncer in transaction mode in front",
        (f"{FAULTS}/test_pgbouncer.py", "tests/database/test_pooling.py"),
        "Debian's PgBouncer. In statement mode every command is refused: [pgbouncer.md](pgbouncer.md).",
    ),
    Scenario(
        "S46",
        "a network that resets connections, and one that is 200 ms away as well",
        (f"{FAULTS}/test_connections.py::test_every_connection_cut_at_random_moments_of_a_long_queue",),
    ),
    Scenario(
        "S47",
        "a participant that can't prepare",
        (
            "tests/two_phase/test_start.py",
            "tests/two_phase/test_refusals.py::test_a_server_that_cannot_prepare_is_refused_before_the_first_statement",
            "tests/doctor/test_transactions.py::TestARunOverAServerThatCannotPrepare",
        ),
    ),
    Scenario(
        "S48",
        "the coordinator killed before and after each PREPARE, decision and COMMIT PREPARED",
        ("tests/two_phase/test_kill.py", "tests/faults/test_transactional.py"),
        "Fifty times at each: `SCHEDULER_TEST_LONG=1 ./dev test tests/two_phase/test_kill.py --timeout 600`.",
    ),
    Scenario(
        "S49",
        "a participant away between PREPARE and COMMIT PREPARED",
        (
            "tests/two_phase/test_commit.py::test_a_participant_that_is_lost_after_the_decision_hears_of_it_later",
            "tests/two_phase/test_recovery.py::test_one_that_is_away_keeps_nobody_from_the_others",
        ),
    ),
    Scenario(
        "S50",
        "no room for another prepared transaction",
        ("tests/two_phase/test_refusals.py::test_without_room_for_another_prepared_transaction_nothing_is_left",),
    ),
    Scenario(
        "S51",
        "NOTIFY, a temporary table, a session's advisory lock",
        ("tests/two_phase/test_refusals.py::test_what_cannot_be_prepared_is_named_and_all_is_rolled_back",),
    ),
    Scenario(
        "S52",
        "a participant's server crashed with prepared transactions",
        ("tests/two_phase/test_places.py::test_a_server_that_crashes_with_prepared_transactions_hears_of_them_later",),
    ),
    Scenario(
        "S53",
        "opposite orders of locks in two databases",
        ("tests/two_phase/test_refusals.py::test_opposite_lock_orders_are_broken_by_a_timeout",),
    ),
    Scenario(
        "S54",
        "a participant's standby promoted",
        ("tests/two_phase/test_failover.py",),
        "With a url that names both.",
    ),
    Scenario(
        "S55",
        "`doctor` on prepared transactions that were left, or that its role may not end, and on wrong settings",
        ("tests/doctor/test_transactions.py",),
    ),
    Scenario(
        "S56",
        "the broker emptied, or killed and started, while its messages are executions already, or not yet",
        (
            f"{FAULTS}/test_messages.py::test_what_is_a_row_needs_its_broker_no_more",
            f"{FAULTS}/test_messages.py::test_a_broker_that_is_restarted_loses_nothing",
        ),
    ),
    Scenario(
        "S57",
        "the same message a hundred times, out of order, after its ack, and through consumers that are killed",
        (
            f"{FAULTS}/test_messages.py::test_the_same_messages_a_hundred_times_in_any_order_are_a_row_each",
            f"{FAULTS}/test_messages.py::test_consumers_that_are_killed_lose_and_double_nothing",
            f"{FAULTS}/test_messages.py::test_a_consumer_that_forgets_what_it_has_written_is_found_out",
            f"{SERVICES}/test_consumer.py::test_what_is_lost_between_two_steps_is_done_again_and_not_twice",
        ),
        "`./dev bench messages --kill`: 100,000 messages, a consumer killed every two seconds, the broker once.",
    ),
    Scenario(
        "S58",
        "the broker away while work is enqueued, published and run",
        (f"{FAULTS}/test_messages.py::test_without_a_broker_rows_go_on",),
    ),
    Scenario(
        "S60",
        "another site's form, text that is JSON, a GET, an Origin that is foreign or null, at the HTTP API",
        (
            "tests/web/test_security.py::test_another_site_changes_nothing",
            "tests/web/test_security.py::test_reading_changes_nothing",
        ),
    ),
    Scenario(
        "S61",
        "an alert sent to this host, its network or its cloud's metadata, however the address is written or resolved",
        ("tests/alerts/test_delivery.py", f"{FAULTS}/test_alerts.py"),
        "The target that is forbidden, and one that hangs, delay no other.",
    ),
    Scenario(
        "S62",
        "statements that the four roles may not do, and those that they may",
        ("tests/operations/test_roles.py", "tests/web/test_security.py::test_each_role_does_what_it_may"),
        "The second tries the roles of tokens.",
    ),
    Scenario(
        "S63",
        "the HTTP API called by a foreign name, and framed by a page",
        ("tests/web/test_security.py::test_a_foreign_name_is_refused_and_framing_too",),
    ),
    Scenario(
        "S64",
        "names, errors and log fields that would steer a terminal or begin a line of their own",
        (
            "tests/cli/test_hostile_rows.py::test_no_stored_text_steers_a_terminal",
            "tests/cli/top/test_picture.py::test_a_name_steers_no_terminal",
            "tests/test_messages.py::test_a_value_can_not_forge_a_line_or_steer_a_terminal",
        ),
    ),
    Scenario(
        "S65",
        "a secret in params, results, errors and urls",
        (
            "tests/web/test_security.py::test_a_viewer_sees_no_secret_anywhere",
            "tests/web/test_security.py::test_secrets_by_their_keys_are_shown_to_nobody",
            "tests/web/test_security.py::test_who_did_what_is_written_down",
        ),
    ),
)
