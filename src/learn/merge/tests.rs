use super::*;
use crate::learn::used::Counts;
use wave_engine::DirectoryGrant;
use wave_policy::{Access, ConnectTarget, Level, Protocol, Surface};

fn granted() -> Granted {
    let dir = |host: &str, access| {
        let grant = DirectoryGrant::new(host, host, access);
        (grant, host.to_owned())
    };
    Granted {
        level: Level::Strict,
        args: None,
        settings: Values::default(),
        dirs: vec![dir("/usr", Access::ReadOnly), dir("/etc", Access::Append)],
        env: vec![("A".to_owned(), None)],
        listen: vec![([127, 0, 0, 1], 80).into()],
        connect: vec![ConnectTarget::parse("10.0.0.0/8:80", Protocol::Tcp).unwrap()],
        accept_from: Some(vec!["10.0.0.0/8".to_owned()]),
        limits: Limits { max_memory: Some(1 << 20), max_open_files: Some(9), ..Limits::default() },
        flags: Vec::new(),
    }
}

fn forged() -> Use {
    let counts = Counts { lookups: u64::MAX, reads: u64::MAX, changes: u64::MAX };
    let paths = [("/etc/shadow".to_owned(), counts), ("..".to_owned(), counts)].into();
    let grant = UsedGrant { calls: u64::MAX, appends: u64::MAX, changes: u64::MAX, paths };
    Use {
        stage: Some(Stage::Done),
        calls: wave_policy::all_functions().iter().map(|function| (function.name, u64::MAX)).collect(),
        grants: vec![grant.clone(), grant],
        listeners: vec![u64::MAX],
        connections: vec![u64::MAX],
        more: u64::MAX,
        memory_bytes: u64::MAX,
        open_files: u64::MAX,
        written_bytes: u64::MAX,
        entries: u64::MAX,
        output_bytes: u64::MAX,
        denied: u64::MAX,
    }
}

fn imports() -> Imports {
    let surface = Surface::of_functions(["path_open"]);
    Imports { name: "m".to_owned(), blake3: "0".repeat(64), surface, memory_bytes: 65_536 }
}

#[test]
fn t75_a_forged_record_cannot_widen_what_was_granted() {
    let learned = merge(&granted(), &forged(), &imports(), None, None, Duration::from_secs(1)).unwrap();
    let access: Vec<_> = learned.values.fs.iter().map(|dir| (&*dir.host, dir.access)).collect();
    assert_eq!(access, [("/usr", Access::ReadOnly), ("/etc", Access::Append)]);
    assert_eq!(learned.values.functions, Some(vec!["path_open".to_owned()]));
    assert_eq!(learned.values.listen, Some(granted().listen));
    assert_eq!(learned.values.accept_from, granted().accept_from);
    assert_eq!(learned.values.env_pass, Some(vec!["A".to_owned()]));
    assert_eq!(learned.values.limits, granted().limits);
}

#[test]
fn t101_what_a_later_run_adds_is_said_and_counted() {
    let mut before = granted();
    before.dirs[1].0.access = Access::ReadOnly;
    let used = |calls, changes| {
        let grant = |changes| UsedGrant { calls: 1, changes, ..UsedGrant::default() };
        let functions = [("path_open", calls), ("fd_prestat_get", 1), ("environ_get", 1)];
        Use {
            calls: functions.into(),
            grants: vec![grant(0), grant(changes)],
            memory_bytes: 0,
            open_files: 5,
            ..forged()
        }
    };
    let merge = |granted: &Granted, used: &Use, before: Option<&Before>| {
        super::merge(granted, used, &imports(), before, None, Duration::from_millis(7)).unwrap()
    };
    let first = merge(&before, &used(2, 1), None);
    assert_eq!(first.wider, [""; 0]);
    let text = crate::learn::file::text(&first).unwrap();
    let comments = wave_policy::file::comments(&text);
    let read = Before { file: PolicyFile::parse(&text).unwrap(), notes: Notes::read(&comments).unwrap() };
    assert_eq!((&read.file.values, &read.notes), (&first.values, &first.notes));

    assert_eq!(merge(&before, &used(2, 1), Some(&read)).wider, [""; 0]);
    let more = Granted {
        listen: vec![granted().listen[0], ([127, 0, 0, 1], 81).into()],
        env: vec![("A".to_owned(), None), ("B".to_owned(), Some("b".to_owned()))],
        accept_from: None,
        ..granted()
    };
    let more_used = Use { listeners: vec![1, 1], ..used(3, 4) };
    let second = merge(&more, &more_used, Some(&read));
    let wider =
        ["fs[1] ro -> append (4 changes)", "env.set.B", "net.listen: 127.0.0.1:81", "net.accept_from: everybody"];
    assert_eq!(second.wider, wider);
    assert_eq!((second.notes.runs, second.notes.calls["path_open"]), (2, 5));
    // What is there stays: nothing gets narrower by a run that does less.
    assert_eq!(
        merge(&before, &used(1, 0), Some(&Before { file: read.file.clone(), notes: read.notes.clone() })).values,
        read.file.values
    );
    // A forged record adds no more than the run had.
    let forged = merge(&granted(), &forged(), Some(&read)).values;
    assert_eq!((forged.limits, forged.fs[1].access), (granted().limits, Access::Append));
    // Limits that somebody lowered.
    let mut low = read.clone();
    low.file.values.limits = Limits {
        timeout: Some(Duration::from_millis(5)),
        max_open_files: Some(4),
        max_stack: Some(1 << 20),
        max_writes: None,
        ..low.file.values.limits
    };
    let wider = merge(&before, &used(1, 0), Some(&low)).wider;
    let expected = [
        "limits.max-open-files 4 -> 9 (5 used)",
        "limits.timeout (ms) 5 -> 1000 (7 used)",
        "limits.max-stack: this run had more, or no limit",
    ];
    assert_eq!(wider, expected);
}
