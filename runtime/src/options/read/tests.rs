//! Every mistake in a file of options, and every option.

use expect_test::{Expect, expect};

use super::*;
use crate::{Environment, ErrorKind, Process, options::Resolved};

#[track_caller]
fn refused(text: &str, want: Expect) {
    let error = Environment::from_toml(text).map(|_| ()).expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::Job);
    want.assert_eq(&error.to_string());
}

#[test]
fn an_unknown_key_is_refused_with_the_one_that_was_meant() {
    refused(
        "[checkpoints]\n\nintervall = \"1 s\"",
        expect!["unknown key `checkpoints.intervall` in line 3: did you mean `interval`?"],
    );
    refused(
        "paralelism = 2",
        expect!["unknown key `paralelism` in line 1: did you mean `parallelism`?"],
    );
    refused(
        "keygroups = 2",
        expect!["unknown key `keygroups` in line 1: did you mean `key_groups`?"],
    );
    refused(
        "[checkpoint]\ninterval = \"1 s\"",
        expect!["unknown key `checkpoint` in line 1: did you mean `checkpoints`?"],
    );
    refused(
        "[cluster]\nheartbeat-timeout = \"1 s\"",
        expect![
            "unknown key `cluster.heartbeat-timeout` in line 2: did you mean `heartbeat_timeout`?"
        ],
    );
    refused(
        "restart.fixed_dealy = { attempts = 1 }",
        expect!["unknown key `restart.fixed_dealy` in line 1: did you mean `fixed_delay`?"],
    );
    refused(
        "[restart.fixed_delay]\nattempts = 1\ndelays = \"1 s\"",
        expect!["unknown key `restart.fixed_delay.delays` in line 3: did you mean `delay`?"],
    );
}

#[test]
fn a_key_in_the_wrong_table_is_shown_the_right_one() {
    refused(
        "interval = \"1 s\"",
        expect!["unknown key `interval` in line 1: did you mean `checkpoints.interval`?"],
    );
    refused(
        "[checkpoints]\ninterval = \"1 s\"\nparallelism = 2",
        expect![
            "unknown key `checkpoints.parallelism` in line 3: did you mean `parallelism`, outside of all tables?"
        ],
    );
    refused(
        "restart.attempts = 3",
        expect![
            "unknown key `restart.attempts` in line 1: did you mean `restart.fixed_delay.attempts`?"
        ],
    );
}

#[test]
fn a_key_like_no_other_is_shown_all_of_them() {
    refused(
        "colour = 2",
        expect![
            "unknown key `colour` in line 1; there are `parallelism`, `key_groups`, `batch_size`, `chain_exchanges`, `ended_inputs`, `storage`, `restart`, `checkpoints`, `cluster`"
        ],
    );
    refused(
        "[cluster]\ncolour = 2",
        expect![
            "unknown key `cluster.colour` in line 2; there are `heartbeat_interval`, `heartbeat_timeout`, `deployment_timeout`"
        ],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_line() {
    refused(
        "# two\nparallelism = \"two\"",
        expect![[
            r#"`parallelism` in line 2 is the text "two", and must be a whole number from 1 to 65535"#
        ]],
    );
    refused(
        "parallelism = 2.5",
        expect![
            "`parallelism` in line 1 is the number 2.5, and must be a whole number from 1 to 65535"
        ],
    );
    refused(
        "key_groups = true",
        expect!["`key_groups` in line 1 is true, and must be a whole number from 1 to 32768"],
    );
    refused(
        "batch_size = [1]",
        expect!["`batch_size` in line 1 is a list, and must be a whole number from 1 to 65536"],
    );
    refused(
        "chain_exchanges = \"yes\"",
        expect![[r#"`chain_exchanges` in line 1 is the text "yes", and must be true or false"#]],
    );
    refused(
        "storage = 1979-05-27",
        expect!["`storage` in line 1 is a date or a time, and must be a directory"],
    );
    refused(
        "checkpoints = \"10 s\"",
        expect![[r#"`checkpoints` in line 1 is the text "10 s", and must be a table"#]],
    );
    refused(
        "checkpoints.interval = 10",
        expect![[
            r#"`checkpoints.interval` in line 1 is the number 10, and must be a duration like "10 s" or "500 ms""#
        ]],
    );
    refused(
        "checkpoints = { interval = \"1 s\", local_copies = 1 }",
        expect![[
            r#"`checkpoints.local_copies` in line 1 is the number 1, and must be "none" or "newest""#
        ]],
    );
    refused(
        "restart = 3",
        expect![[
            r#"`restart` in line 1 is the number 3, and must be "none" or a table with `fixed_delay`"#
        ]],
    );
    refused(
        "restart.fixed_delay = \"3 times\"",
        expect![[
            r#"`restart.fixed_delay` in line 1 is the text "3 times", and must be a table with `attempts` and `delay`"#
        ]],
    );
    refused(
        "cluster = {}\n[storage]",
        expect!["`storage` in line 2 is a table, and must be a directory"],
    );
}

#[test]
fn a_value_outside_of_its_bounds_is_refused() {
    refused(
        "parallelism = 0",
        expect![
            "`parallelism` in line 1 is the number 0, and must be a whole number from 1 to 65535"
        ],
    );
    refused(
        "parallelism = 70_000",
        expect![
            "`parallelism` in line 1 is the number 70_000, and must be a whole number from 1 to 65535"
        ],
    );
    refused(
        "parallelism = -1",
        expect![
            "`parallelism` in line 1 is the number -1, and must be a whole number from 1 to 65535"
        ],
    );
    refused(
        "key_groups = 32_769",
        expect![
            "`key_groups` in line 1 is the number 32_769, and must be a whole number from 1 to 32768"
        ],
    );
    refused(
        "batch_size = 65537",
        expect![
            "`batch_size` in line 1 is the number 65537, and must be a whole number from 1 to 65536"
        ],
    );
    refused(
        "[checkpoints]\ninterval = \"1 s\"\nretain = 0",
        expect![
            "`checkpoints.retain` in line 3 is the number 0, and must be a whole number from 1 to 4294967295"
        ],
    );
    refused(
        "[checkpoints]\ninterval = \"1 s\"\ntolerable_failures = 5_000_000_000",
        expect![
            "`checkpoints.tolerable_failures` in line 3 is the number 5_000_000_000, and must be a whole number from 0 to 4294967295"
        ],
    );
}

#[test]
fn a_choice_that_there_is_not_is_refused() {
    refused(
        "ended_inputs = \"wait\"",
        expect![[
            r#"`ended_inputs` in line 1 is the text "wait", and must be "leave_out" or "push_on""#
        ]],
    );
    refused(
        "restart = \"always\"",
        expect![[
            r#"`restart` in line 1 is the text "always", and must be "none" or a table with `fixed_delay`"#
        ]],
    );
    refused(
        "[checkpoints]\ninterval = \"1 s\"\nlocal_copies = \"all\"",
        expect![[
            r#"`checkpoints.local_copies` in line 3 is the text "all", and must be "none" or "newest""#
        ]],
    );
}

#[test]
fn a_duration_says_its_unit() {
    refused(
        "checkpoints.interval = \"10\"",
        expect![[
            r#"`checkpoints.interval` in line 1 is the text "10", which has no unit, and must be a duration like "10 s" or "500 ms""#
        ]],
    );
    refused(
        "checkpoints.interval = \"soon\"",
        expect![[
            r#"`checkpoints.interval` in line 1 is the text "soon", which begins with no whole number, and must be a duration like "10 s" or "500 ms""#
        ]],
    );
    refused(
        "checkpoints.interval = \"10 seconds\"",
        expect![[
            r#"`checkpoints.interval` in line 1 is the text "10 seconds", whose unit is none of `ns`, `us`, `ms`, `s`, `min`, `h`, `d`, and must be a duration like "10 s" or "500 ms""#
        ]],
    );
    refused(
        "cluster.heartbeat_timeout = \"9999999999999 d\"",
        expect![[
            r#"`cluster.heartbeat_timeout` in line 1 is the text "9999999999999 d", which is longer than 584 years, and must be a duration like "10 s" or "500 ms""#
        ]],
    );
}

#[test]
fn what_is_needed_must_be_there() {
    refused(
        "\n[checkpoints]\ntimeout = \"1 s\"",
        expect!["`checkpoints` in line 2 lacks `interval`"],
    );
    refused("[restart]", expect!["`restart` in line 1 lacks `fixed_delay`"]);
    refused(
        "[restart.fixed_delay]\nattempts = 3",
        expect!["`restart.fixed_delay` in line 1 lacks `delay`"],
    );
    refused(
        "[restart.fixed_delay]\ndelay = \"1 s\"",
        expect!["`restart.fixed_delay` in line 1 lacks `attempts`"],
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    refused(
        "parallelism = 2\nkey_groups 3",
        expect!["line 2 is no TOML: key with no value, expected `=`"],
    );
    refused("parallelism = 2\nparallelism = 3", expect!["line 2 is no TOML: duplicate key"]);
    refused("storage = \"", expect![[r#"line 1 is no TOML: invalid basic string, expected `"`"#]]);
}

#[test]
fn a_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("floodmark.toml");
    let refused = |path: &std::path::Path| {
        let error = Environment::from_file(path).map(|_| ()).unwrap_err();
        let words = error.to_string().replace(&*directory.path().to_string_lossy(), "…");
        format!("{words} ({:?})", error.kind())
    };
    expect![[r#"reading the options in "…/floodmark.toml": No such file or directory (os error 2) (Machine)"#]].assert_eq(&refused(&path));
    write(&path, "\nparallelsim = 3");
    expect![[r#""…/floodmark.toml": unknown key `parallelsim` in line 2: did you mean `parallelism`? (Job)"#]].assert_eq(&refused(&path));
    write(&path, "parallelism = 3");
    assert!(Environment::from_file(&path).unwrap().to_toml().starts_with("parallelism = 3\n"));
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's")]
fn write(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// A value other than the usual one for each option.
fn unusual() -> Options {
    Options {
        parallelism: Some(3),
        key_groups: Some(64),
        batch_size: Some(7),
        chain_exchanges: Some(false),
        ended_inputs: Some(EndedInputs::PushOn),
        checkpoints: Some(CheckpointConfig {
            interval: Duration::from_millis(1_500),
            timeout: Duration::from_secs(90),
            min_pause: Duration::from_micros(20),
            tolerable_failure_count: 4,
            retained_count: NonZeroU32::new(5).unwrap(),
            local_copies: LocalCopies::Newest,
            state_size_max: Some(123_456_789),
        }),
        restart: Some(RestartStrategy::FixedDelay { attempts: 6, delay: Duration::from_nanos(7) }),
        storage: Some("a \"b\" \\ \u{1} é".to_owned()),
        cluster: Some(ClusterConfig {
            heartbeat_interval: Duration::from_secs(2),
            heartbeat_timeout: Duration::from_secs(3_600),
            deployment_timeout: Duration::from_secs(86_400),
        }),
    }
}

#[test]
fn what_is_written_is_what_is_read() {
    let written = unusual().resolved().to_toml();
    expect![[r#"
        parallelism = 3
        key_groups = 64
        batch_size = 7
        chain_exchanges = false
        ended_inputs = "push_on"
        storage = "a \"b\" \\ \u0001 é"

        [restart.fixed_delay]
        attempts = 6
        delay = "7 ns"

        [checkpoints]
        interval = "1500 ms"
        timeout = "90 s"
        min_pause = "20 us"
        tolerable_failures = 4
        retain = 5
        local_copies = "newest"
        state_size_max = 123456789

        [cluster]
        heartbeat_interval = "2 s"
        heartbeat_timeout = "1 h"
        deployment_timeout = "1 d"
    "#]]
    .assert_eq(&written);
    assert_eq!(options(&written).unwrap(), unusual());

    let usual = Options::default().resolved().to_toml();
    assert_eq!(options(&usual).unwrap(), Options::unless_set());
}

#[test]
fn every_key_is_in_what_is_written() {
    let written = unusual().resolved().to_toml();
    for (table, keys) in KEYS {
        for key in keys {
            let is_key = written.contains(&format!("\n{key} = "));
            let is_first = written.starts_with(&format!("{key} = "));
            let is_table =
                written.contains(&format!("[{key}")) || written.contains(&format!(".{key}]"));
            assert!(is_key || is_first || is_table, "{table}.{key}");
        }
    }
}

#[test]
fn code_wins_over_a_file_option_by_option() {
    let file = "parallelism = 3\nbatch_size = 7\n[checkpoints]\ninterval = \"1 s\"\nretain = 9";
    let env = Environment::from_toml(file).unwrap();
    let code = CheckpointConfig::every(Duration::from_secs(5));
    let env = env.checkpoints(code.clone()).parallelism(2);
    let Resolved { parallelism, batch_size, checkpoints, key_group_count, .. } = env.resolved();
    assert_eq!((parallelism, batch_size, key_group_count), (2, 7, 128));
    assert_eq!(checkpoints, Some(code), "checkpoints are one option");
}

#[test]
fn code_wins_whatever_is_called_first() {
    let file = "parallelism = 3\nkey_groups = 64";
    let before = Environment::new().parallelism(2).options_from_toml(file).unwrap();
    let after = Environment::new().options_from_toml(file).unwrap().parallelism(2);
    let between = Environment::from_toml(file).unwrap().parallelism(2);
    for env in [before, after, between] {
        let Resolved { parallelism, key_group_count, .. } = env.resolved();
        assert_eq!((parallelism, key_group_count), (2, 64));
    }
}

#[test]
fn a_later_file_wins_over_an_earlier_one() {
    let env = Environment::from_toml("parallelism = 3\nkey_groups = 64").unwrap();
    let env = env.options_from_toml("parallelism = 4").unwrap();
    let Resolved { parallelism, key_group_count, .. } = env.resolved();
    assert_eq!((parallelism, key_group_count), (4, 64));
}

#[test]
fn a_process_of_a_cluster_reads_its_own_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("job.toml");
    write(&path, "parallelism = 5\nkey_groups = 32\nbatch_size = 9");
    let name = path.to_str().unwrap().to_owned();
    let process = Process::from_variables(|variable| match variable {
        "FLOODMARK_ROLE" => Some("coordinator".to_owned()),
        "FLOODMARK_STORE" => Some("/store".to_owned()),
        "FLOODMARK_CONFIG" => Some(name.clone()),
        _ => None,
    });
    let process = process.unwrap().expect("it has a role");
    let env = Environment::from_toml("key_groups = 64\nstorage = \"elsewhere\"").unwrap();
    let resolved = env.parallelism(2).resolved_for(&process);
    let Resolved { parallelism, key_group_count, batch_size, storage, .. } = resolved;
    assert_eq!(
        (parallelism, key_group_count, batch_size, storage.as_str()),
        (2, 32, 9, "elsewhere"),
        "code, then the file of the process, then the file in code"
    );
}
