//! `--deterministic`: two runs give identical bytes. And clocks in coarse steps.

use wave_test_support::{Wave, wat, writable_dir};

/// Writes clocks, random bytes, a NaN that was computed, and the times of a file it has just made; sleeps an hour between.
const GUEST: &str = r#"(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_res_get" (func $resolution (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\00\04\00\00\78\00\00\00") ;; iovec: 120 bytes at 1024
  (data (i32.const 600) "made")
  (func (export "_start")
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 1024)))
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 1032)))
    (drop (call $resolution (i32.const 1) (i32.const 1040)))
    (drop (call $random (i32.const 1048) (i32.const 32)))
    (i64.store (i32.const 200) (i64.const 7))
    (i32.store (i32.const 216) (i32.const 1))
    (i64.store (i32.const 224) (i64.const HOUR))
    (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 400)))
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 1080)))
    (f64.store (i32.const 1088) (f64.div (f64.load (i32.const 500)) (f64.load (i32.const 500))))
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 600) (i32.const 4) (i32.const 1) (i64.const 0x200040) (i64.const 0) (i32.const 0) (i32.const 700)))
    (drop (call $stat (i32.load (i32.const 700)) (i32.const 800)))
    (memory.copy (i32.const 1096) (i32.const 840) (i32.const 24))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

/// What the guest wrote, as numbers.
fn words(flags: &[&str], sleep_ns: u64) -> Vec<u64> {
    let (dir, (_module_dir, module)) = (writable_dir(), wat(&GUEST.replace("HOUR", &sleep_ns.to_string())));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wave"));
    command.args(["--sandbox", "strict", "run", "--timeout", "100s"]).args(flags);
    let output = command.arg("--dir").arg(format!("{}::/::rw", dir.path().display())).arg(module).output().unwrap();
    // The directory is none of a policy's.
    let said = if flags.contains(&"--policy") {
        format!("wave: relaxed by --dir {}::/::rw beyond the policy\n", dir.path().display())
    } else {
        String::new()
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr, output.stdout.len()), (Some(0), &*said, 120), "{output:?}");
    output.stdout.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

const HOUR_NS: u64 = 3_600_000_000_000;
const EPOCH_NS: u64 = 946_684_800_000_000_000;

#[test]
fn two_runs_give_identical_bytes_and_sleeping_takes_no_time() {
    let first = words(&["--deterministic"], HOUR_NS);
    assert_eq!(first, words(&["--deterministic"], HOUR_NS));
    assert_eq!(first[..3], [EPOCH_NS + 1000, 2000, 1000]);
    assert_eq!(first[7], 2000 + HOUR_NS + 1000);
    assert_eq!(first[8], 0x7ff8 << 48, "a NaN has one form");
    assert_eq!(first[9..12], [EPOCH_NS; 3], "and files that were made have the time the run started");
}

#[test]
fn t116_without_it_random_bytes_differ() {
    let (first, second) = (words(&[], 1000), words(&[], 1000));
    assert_ne!(first[3..7], second[3..7]);
    assert_ne!(first[0], second[0]);
}

/// T116: with a seed, random numbers are those of the seed in every run, and clocks stay real; in a deterministic run it
/// chooses the same numbers.
#[test]
fn t116_random_bytes_of_a_seed_are_the_same_in_each_run() {
    let [first, again, other] = ["7", "7", "8"].map(|seed| words(&["--random-seed", seed], 1000));
    assert_eq!(first[3..7], again[3..7]);
    assert_ne!(first[0], again[0], "clocks are real");
    assert_ne!(first[3..7], other[3..7]);
    let deterministic = words(&["--deterministic"], 1000);
    let both = words(&["--deterministic", "--random-seed", "7"], 1000);
    assert_eq!(both[3..7], first[3..7]);
    assert_ne!(deterministic[3..7], first[3..7]);
    assert_eq!((&both[..3], &both[7..]), (&deterministic[..3], &deterministic[7..]));
    let largest = words(&["--random-seed", "9223372036854775807"], 1000);
    assert_ne!(largest[3..7], first[3..7]);

    let (dir, _) = wat("");
    let policy = dir.path().join("p.toml");
    let path = policy.to_str().expect("UTF-8");
    std::fs::write(&policy, "version = 1\n[random]\nseed = 0x7\n").unwrap();
    assert_eq!(words(&["--policy", path], 1000)[3..7], first[3..7]);
    assert_eq!(words(&["--policy", path, "--random-seed", "8"], 1000)[3..7], other[3..7], "a flag wins");
}

#[test]
fn a_seed_is_a_number_that_toml_can_hold() {
    let (dir, module) = wat("(module (memory 1) (func (export \"_start\")))");
    for seed in ["-1", "", "9223372036854775808", "18446744073709551616", "0x7", "7.0", "seed"] {
        let run = Wave::strict().flag("--random-seed", seed).run(&module, [""; 0]);
        assert_eq!((run.status.code(), &*run.stdout), (Some(2), ""), "{seed}");
    }
    let policy = dir.path().join("p.toml");
    for (seed, found) in [
        ("-1", "this number"),
        ("9223372036854775808", "this number"),
        ("18446744073709551616", "this number"),
        ("99999999999999999999999999", "this number"),
        ("7.0", "a number with a point"),
        ("\"7\"", "text"),
        ("[7]", "a list"),
        ("true", "true or false"),
    ] {
        std::fs::write(&policy, format!("version = 1\n[random]\nseed = {seed}\n")).unwrap();
        let run = Wave::strict().flag("--policy", policy.to_str().expect("UTF-8")).run(&module, [""; 0]);
        let seen = (run.status.code(), run.stderr.lines().next());
        let said = format!("wave: {found} is not what belongs here");
        assert_eq!(seen, (Some(125), Some(&*said)), "{seed}: {}", run.stderr);
        assert!(run.stderr.ends_with("  fix:   write a number from 0 to 9223372036854775807\n"), "{}", run.stderr);
    }
    for seed in ["0", "9223372036854775807"] {
        Wave::strict().flag("--random-seed", seed).run(&module, [""; 0]).is(0, "", "");
        std::fs::write(&policy, format!("version = 1\n[random]\nseed = {seed}\n")).unwrap();
        Wave::strict().flag("--policy", policy.to_str().expect("UTF-8")).run(&module, [""; 0]).is(0, "", "");
    }
}

#[test]
fn t106_clocks_move_in_the_steps_that_were_asked_for() {
    let step = 20_000_000;
    let seen = words(&["--clock-resolution", "20ms"], 30_000_000);
    assert_eq!(seen[2], step);
    for time in [seen[0], seen[1], seen[7], seen[9], seen[10], seen[11]] {
        assert_eq!(time % step, 0, "{seen:?}");
    }
    assert!(seen[7] >= seen[1] + step, "a wait is as long as it should be");
}

#[test]
fn the_two_exclude_each_other() {
    let (_dir, module) = wat("(module)");
    let run = Wave::strict().switch("--deterministic").flag("--clock-resolution", "1ms").run(module, [""; 0]);
    assert_eq!(run.status.code(), Some(2));
}
