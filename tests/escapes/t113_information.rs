//! T113, T114, T116: what a guest learns of its host: no strings, no uptime, no predictable numbers.

use std::time::{Duration, Instant, SystemTime};

use crate::host::Host;
use crate::script::script;
use wave_test_support::{Mode, Wave};

/// T113: arguments and environment are what was listed; names are the guest's, and no text is a path of the host.
#[test]
fn no_text_of_the_host_is_seen() {
    let guest = script(
        r#"
        args_sizes_get OUT OUT2
        show [OUT] = 1
        show [OUT2] = 10
        args_get BUF BUF+64
        text BUF+64 9 = "guest.wat"
        environ_sizes_get OUT OUT2
        show [OUT] = 0
        show [OUT2] = 0
        fd_prestat_get 3 OUT
        show [OUT+4] = 5
        fd_prestat_dir_name 3 BUF 5
        text BUF 5 = "/data"
        fd_prestat_get 4 OUT = BADF
        fd_readdir 3 0x20000 0x10000 0 OUT
        (call $text (i32.const 0x20000) (i32.load (i32.const 128)))
        path_readlink 3 "../link" BUF 100 OUT = NOTCAPABLE
        path_filestat_get 3 0 "." OUT
        show64 OUT+8 = ANY
        "#,
    );
    let host = Host::new();
    // The listing is bytes between the lines.
    let run = guest.outcome(Mode::Normal.strict().dir(&host.path("grant"), "/data", "ro").env("A=B").env("C="));
    assert!(!run.stdout.contains("/tmp") && !run.stdout.contains("grant"), "{run:?}");
    let text = run.stdout.as_bytes();
    for leaked in [host.path("").to_str().unwrap(), std::env::var("PATH").unwrap().as_str(), env!("CARGO_MANIFEST_DIR")]
    {
        assert!(!text.windows(leaked.len()).any(|part| part == leaked.as_bytes()), "{leaked}");
    }
    // `..` has the number of the directory itself, not of the one above it.
    let above = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(host.path("")).unwrap());
    assert!(!text.windows(8).any(|part| part == above.to_le_bytes()));
}

/// T114: monotonic time starts with the run, wall-clock time is the host's, and its processor's time is not shown.
#[test]
fn time_is_relative_to_the_start() {
    let guest = script(
        r#"
        clock_time_get MONOTONIC 1 OUT
        show64 OUT = ANY
        clock_time_get REALTIME 1 OUT
        show64 OUT = ANY
        clock_time_get 2 1 OUT = NOTSUP
        clock_time_get 3 1 OUT = NOTSUP
        clock_res_get 2 OUT = NOTSUP
        "#,
    );
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (start, before) = (Instant::now(), now());
    let seen = guest.run(Wave::strict());
    let (took, after) = (start.elapsed(), now());
    let time = |at: usize| Duration::from_nanos(seen[at].1.parse().unwrap());
    assert!(time(1) < took, "{:?} since the start of a run that took {took:?}", time(1));
    assert!((before..=after).contains(&time(3)), "{before:?} {:?} {after:?}", time(3));
}

/// T106: clocks move in steps of the length that was asked for.
#[test]
fn clocks_can_be_coarse() {
    let guest = script(
        r#"
        clock_time_get MONOTONIC 1 OUT
        show64 OUT = ANY
        clock_time_get REALTIME 1 OUT
        show64 OUT = ANY
        clock_res_get MONOTONIC OUT
        show64 OUT = 10000000
        "#,
    );
    let seen = guest.run(Wave::strict().flag("--clock-resolution", "10ms"));
    for at in [1, 3] {
        assert_eq!(seen[at].1.parse::<u64>().unwrap() % 10_000_000, 0, "{seen:?}");
    }
    // The control: without the flag they do not.
    let fine = script("repeat 100\n sched_yield = SUCCESS\n end\n clock_time_get MONOTONIC 1 OUT\n show64 OUT = ANY");
    let odd = (0..3).any(|_| fine.run(Wave::strict())[1].1.parse::<u64>().unwrap() % 10_000_000 != 0);
    assert!(odd);
}

/// T116: two calls, two runs and the addresses of memory differ; nothing is left as it was.
#[test]
fn random_bytes_differ_from_run_to_run() {
    let guest = script(
        r#"
        random_get BUF 32
        bytes BUF 32 = ANY
        random_get BUF 32
        bytes BUF 32 = ANY
        random_get BUF+64 0
        fill BUF 32 0
        random_get BUF 31
        bytes BUF+31 1 = 00
        "#,
    );
    let mut all = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let seen = guest.run(Wave::strict());
        assert!(all.insert(seen[1].1.clone()) && all.insert(seen[3].1.clone()), "{all:?}");
    }
    // The control: a deterministic run is the same each time.
    let seen: Vec<_> = (0..2).map(|_| guest.run(Wave::strict().switch("--deterministic"))).collect();
    assert_eq!(seen[0], seen[1]);
}
