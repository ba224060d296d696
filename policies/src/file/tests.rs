use super::*;
use crate::{Level, Resolver, Surface};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::time::Duration;

fn refused(source: &str) -> (String, String) {
    let problem = PolicyFile::parse(source).expect_err(source);
    (problem.to_string(), problem.fix)
}

#[test]
fn each_key_of_the_format_is_read() {
    let source = include_str!("full.toml");
    let file = PolicyFile::parse(source).unwrap();
    let values = &file.values;
    assert_eq!(file.profile, Some(Profile::Cli));
    assert_eq!(values.sandbox, Some(Level::Standard));
    assert_eq!(values.args.as_deref(), Some(&["--quiet".to_owned()][..]));
    assert_eq!(values.fs[1].access, Access::Append);
    assert_eq!(values.fs[1].guest, "log");
    assert_eq!(values.limits.max_memory, Some(64 << 20));
    assert_eq!(values.limits.timeout, Some(Duration::from_secs(5)));
    assert_eq!(file.line("fs[1]"), Some(21));
    assert_eq!(file.line("net.listen[0]"), Some(32));
    // Written and read again it is the same.
    let again = PolicyFile::parse(&file.write().unwrap()).unwrap();
    assert_eq!((&again.values, again.profile), (values, file.profile));
    // The sample leaves out no key, so this test cannot miss one.
    let all = |fields: &[schema::Field]| fields.iter().all(|field| source.contains(field.name));
    assert!(all(keys::ROOT) && all(&schema::LIMITS));
}

#[test]
fn the_schema_in_the_tree_is_the_one_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/policy.schema.json");
    if std::env::var_os("WAVE_BLESS").is_some() {
        std::fs::write(path, json_schema()).unwrap();
    }
    assert_eq!(json_schema(), std::fs::read_to_string(path).unwrap());
}

#[test]
fn t122_what_the_schema_does_not_know_is_refused_with_the_nearest_name() {
    let cases = [
        ("version = 1\nsandbx = \"off\"", "2:1: unknown key `sandbx`", "write `sandbox`"),
        ("version = 1\n[limits]\nmax-memry = 1", "3:1: unknown key `max-memry`", "write `max-memory`"),
        ("version = 1\n[[fs]]\nhost = \"a\"\nacces = \"ro\"", "4:1: unknown key `acces`", "write `access`"),
        ("version = 1\nsandbox = \"of\"", "2:11: unknown word `of`", "write \"off\""),
        (
            "version = 1\n[wasi]\nfunctions = [\"fd_wirte\"]",
            "3:14: unknown WASI function `fd_wirte`",
            "write \"fd_write\"",
        ),
        ("version = 2", "1:11: version 2 of the format is unknown", "write version = 1, or use a newer wave"),
        ("", "1:1: `version` is missing", "add `version`: Version of the format"),
        ("version = 1\n[[fs]]\nhost = \"a\"", "2:1: `access` is missing", "add `access`: What may be done there"),
        ("version = 1\nargs = \"a\"", "2:8: text is not what belongs here", "write a list in brackets"),
        ("version = 1\nversion = 1", "2:1: duplicate key", "the file must be TOML, https://toml.io"),
        (
            "version = 1\n[net]\nlisten = [\"localhost:80\"]",
            "3:11: `localhost:80` is not what belongs here",
            "write an address with a port such as \"127.0.0.1:8080\"",
        ),
        (
            "version = 1\n[[fs]]\nhost = \"a\"\naccess = \"ro\"\n[[fs]]\nhost = \"b\"\nguest = \"a\"\naccess = \"ro\"",
            "7:9: `a` is the name of fs[0] already",
            "give each directory a name of its own by `guest`",
        ),
    ];
    for (source, what, fix) in cases {
        assert_eq!(refused(source), (what.to_owned(), fix.to_owned()), "{source}");
    }
    assert!(PolicyFile::parse("version = 1").is_ok());
}

#[test]
fn a_caret_stands_beneath_what_is_meant() {
    let problem = PolicyFile::parse("version = 1\n[limits]\n\u{e9}\u{e9} = 1").unwrap_err();
    assert_eq!((problem.line, problem.column), (3, 1));
    let problem = PolicyFile::parse("version = 1\nargs = [\"\u{e9}\", 7]").unwrap_err();
    assert_eq!(problem.excerpt, ["  |", "2 | args = [\"\u{e9}\", 7]", "  |              ^"]);
    assert_eq!(problem.id, "args[1]");
}

#[test]
fn hostile_files_end_soon_in_a_clear_error_or_a_right_answer() {
    let mut many = "version = 1\n".to_owned();
    for index in 0..100_000 {
        writeln!(many, "[[fs]]\nhost = \"/srv/{index}\"\naccess = \"ro\"").unwrap();
    }
    let start = std::time::Instant::now();
    let file = PolicyFile::parse(&many).unwrap();
    assert_eq!(file.values.fs.len(), 100_000);
    assert_eq!(file.line("fs[99999]"), Some(2 + 3 * 99_999));
    let unknown: String =
        (0..100_000).fold("version = 1\n".to_owned(), |all, index| all + &format!("key{index} = 1\n"));
    assert_eq!(refused(&unknown).0, "2:1: unknown key `key0`");
    let nested = format!("version = 1\nargs = {}", "[".repeat(100_000));
    assert!(PolicyFile::parse(&nested).is_err());
    let nested = format!("version = 1\n{} = 1", vec!["a"; 100_000].join("."));
    assert!(PolicyFile::parse(&nested).is_err());
    let long = PolicyFile::parse(&format!("version = 1\n{} = 1", "k".repeat(1_000_000))).unwrap_err();
    assert!(long.excerpt.iter().all(|line| line.len() < 200), "{:?}", long.excerpt);
    let escape = PolicyFile::parse("version = 1\n# \u{1b}[2J\n").unwrap_err();
    assert!(escape.excerpt.concat().contains("\\u{1b}"), "{:?}", escape.excerpt);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}

#[test]
fn profiles_are_policies_and_extend_nothing() {
    for profile in Profile::ALL {
        let file = PolicyFile::parse(profile.source()).unwrap();
        assert_eq!(file.profile, None);
        assert!(file.values.fs.is_empty() && file.values.listen.is_none() && file.values.env_pass.is_none());
        assert_eq!(format(profile.source()).unwrap(), align(profile.source()), "{}", profile.name());
        // A reason at each row, or at the first of the rows it holds for.
        assert!(profile.source().matches("  # ").count() + profile.source().matches(", # ").count() >= 7);
    }
    let functions = |profile: Profile| PolicyFile::parse(profile.source()).unwrap().values.functions.unwrap();
    assert!(functions(Profile::Compute).iter().all(|name| functions(Profile::Cli).contains(name)));
    assert!(functions(Profile::Cli).iter().all(|name| functions(Profile::Server).contains(name)));
    assert!(!functions(Profile::Cli).iter().any(|name| name.starts_with("sock_")));
    assert!(!functions(Profile::Compute).iter().any(|name| name.starts_with("path_")));
}

/// Comments in a column are the one thing that the profiles have and `fmt` takes away.
fn align(source: &str) -> String {
    let line = |line: &str| match line.split_once(", ") {
        Some((code, comment)) if comment.trim_start().starts_with('#') => format!("{code}, {}\n", comment.trim_start()),
        _ => format!("{line}\n"),
    };
    source.lines().map(line).collect()
}

#[test]
fn a_key_of_the_file_replaces_the_one_of_its_profile() {
    let source = "version = 1\nextends = \"server\"\nsandbox = \"off\"\n[wasi]\nfunctions = [\"fd_write\"]";
    let values = PolicyFile::parse(source).unwrap().resolved().unwrap();
    assert_eq!(values.sandbox, Some(Level::Off));
    assert_eq!(values.functions, Some(vec!["fd_write".to_owned()]));
    let values = PolicyFile::parse("version = 1\nextends = \"server\"").unwrap().resolved().unwrap();
    assert!(values.functions.unwrap().contains(&"sock_accept".to_owned()));
}

#[test]
fn the_derived_part_is_what_the_filter_has() {
    let surface = Surface::of_functions(["fd_write", "path_open", "sock_accept"]);
    let derived = Derived::of(&surface, true, Resolver::Kernel);
    for (id, rule) in [
        ("os.always.writev", "writev"),
        ("os.always.write_message", "write where fd == STDERR"),
        ("os.grant.openat2", "openat2"),
        ("os.listener.accept4", "accept4"),
        ("os.landlock.ro", "read_file read_dir"),
    ] {
        assert_eq!(derived.rows.get(id).map(String::as_str), Some(rule), "{id}");
    }
    let values = Values { os: Some(derived.clone()), ..Values::default() };
    let text = values.write(None, |_| None).unwrap();
    let read = PolicyFile::parse(&text).unwrap().values.os.unwrap();
    assert_eq!(read, derived);
    assert_eq!(read.difference(&derived), None);
    // Each row counts.
    for id in derived.rows.keys() {
        let mut less = derived.clone();
        less.rows.remove(id);
        assert_eq!(less.difference(&derived).unwrap().1, format!("`{id}` is missing"));
        assert_eq!(derived.difference(&less).unwrap().1, format!("`{id}` does not follow from the module"));
    }
}

#[test]
fn formatting_changes_spaces_only() {
    let source = "# head\nversion=1   # one\n\n\n\nargs=[\"a\",'b'  ,\n# in\n\"c\",]\n[ env . set ]\n\"A B\"=\"x=[ 1 ]\"\n# of fs\n[[fs]]\nhost='d'\naccess=\"ro\"";
    let expected = "# head\nversion = 1 # one\n\nargs = [\"a\", 'b',\n    # in\n    \"c\",]\n\n[env.set]\n\"A B\" = \"x=[ 1 ]\"\n\n# of fs\n[[fs]]\nhost = 'd'\naccess = \"ro\"\n";
    assert_eq!(format(source).unwrap(), expected);
    assert_eq!(format(expected).unwrap(), expected);
    assert!(format("version = 3").is_err());
}

#[test]
fn comments_are_not_what_looks_like_one_in_a_text() {
    let source = "# head\nversion = 1 # one  \nargs = [\"# no\", '''\n# no\n''', # two\n]\n";
    assert_eq!(super::comments(source), [("", "# head"), ("version = 1", "# one"), ("''',", "# two")]);
}

/// Policies with odd spaces, comments and texts.
fn sources() -> impl Strategy<Value = String> {
    let space = "[ \t]{0,2}";
    let gap = "(\n|[ \t]*\n|# [ -~]{0,9}\n){0,3}";
    let text = prop::collection::vec(any::<char>().prop_filter("no NUL", |c| *c != '\0'), 0..6);
    let line = (space, space, text, gap).prop_map(|(a, b, text, gap)| {
        let text: String = text.into_iter().collect();
        (format!("{a}={b}"), write::quote(text), gap)
    });
    let args = prop::collection::vec((line, any::<u8>()), 0..6);
    (args, gap, any::<bool>()).prop_map(|(args, gap, profile)| {
        let mut source = format!("{gap}version = 1\n");
        if profile {
            source.push_str("extends='cli'\n");
        }
        source.push_str("args=[");
        for ((_, text, gap), _) in &args {
            write!(source, "{text} ,{gap}").unwrap();
        }
        source.push_str("]\n[ env.set]\n");
        for (index, ((equals, text, gap), _)) in args.iter().enumerate() {
            writeln!(source, "{gap}N{index}{equals}{text}").unwrap();
        }
        for (index, ((equals, text, gap), access)) in args.iter().enumerate() {
            let access = ["ro", "rw", "append"][usize::from(*access) % 3];
            let host = write::quote(format!("h{text}"));
            writeln!(source, "{gap}[[fs]]\nhost{equals}{host}\n guest = \"{index}\"\naccess = '{access}'").unwrap();
        }
        source
    })
}

proptest! {
    #[test]
    fn fmt_is_idempotent_and_keeps_the_meaning(source in sources()) {
        let file = PolicyFile::parse(&source).unwrap();
        let once = format(&source).unwrap();
        prop_assert_eq!(&format(&once).unwrap(), &once);
        let again = PolicyFile::parse(&once).unwrap();
        prop_assert_eq!(&again.values, &file.values);
        let comments = |text: &str| text.lines().filter(|line| line.trim_start().starts_with('#')).count();
        prop_assert_eq!(comments(&once), comments(&source));
        let written = PolicyFile::parse(&file.write().unwrap()).unwrap();
        prop_assert_eq!((written.values, written.profile), (file.values, file.profile));
    }

    #[test]
    fn no_input_panics(source in "[\\[\\]{}=\"'#.,a-z0-9 \n\t\u{0}-\u{1f}\u{e9}]{0,80}") {
        if let Err(problem) = PolicyFile::parse(&source) {
            prop_assert!(!problem.what.is_empty() && problem.excerpt.len() == 3);
        }
        drop(format(&source));
    }
}
