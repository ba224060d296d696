use super::*;
use wave_policy::file::comments;

fn notes() -> Notes {
    let counts = |lookups, reads, changes| Counts { lookups, reads, changes };
    let hostile = "a\n[[fs]]\u{1b}[2J\u{202e}\"#\\: reads 9".to_owned();
    Notes {
        name: hostile.clone(),
        runs: 3,
        ending: Some("by a trap".to_owned()),
        denied: 4,
        flags: ["--device /dev/null".to_owned()].into(),
        unused: [hostile.clone(), "variable TZ".to_owned()].into(),
        calls: [("fd_write".to_owned(), 1), ("fd_read".to_owned(), u64::MAX)].into(),
        dirs: [
            (hostile.clone(), DirNote { calls: 7, changes: 2, more: 5, ..DirNote::default() }),
            (
                "/data".to_owned(),
                DirNote {
                    calls: 9,
                    appends: 1,
                    kept: Some("why".to_owned()),
                    paths: [(hostile, counts(1, 0, 2)), ("x/y".to_owned(), counts(0, u64::MAX, 0))].into(),
                    ..DirNote::default()
                },
            ),
        ]
        .into(),
        most: [("max-memory", 65_536), ("timeout", 12)].into(),
    }
}

fn written(notes: &Notes) -> String {
    let mut text = notes.head();
    text += "functions = [\n";
    for function in ["fd_read", "fd_write", "fd_close"] {
        text += &format!("    \"{function}\", # {}\n", notes.row("", Some(function)).unwrap());
    }
    text += "]\n";
    text.extend(notes.dirs.keys().map(|guest| notes.dir(guest)));
    text += &format!("max-memory = \"1M\" # {}\n", notes.row("limits.max-memory", None).unwrap());
    text += &notes.suggestions(|name, _| (name == "timeout").then(|| "\"1s\"".to_owned()));
    text + ENV + "\n" + OS + "\n"
}

#[test]
fn t75_what_is_written_is_read_back_and_hostile_texts_stay_in_their_line() {
    let text = written(&notes());
    assert!(!text.contains(['\u{1b}', '\u{202e}']) && !text.lines().any(|line| line.starts_with("[[fs]]")));
    assert_eq!(Notes::read(&comments(&text)), Ok(notes()));
}

#[test]
fn a_comment_of_somebody_else_is_told() {
    let text = written(&notes());
    for other in ["# needed for backups", "#", "# \"x\"", "#   \"x\": reads many", "# timeout = 5s"] {
        let text = format!("{text}{other}\n");
        assert_eq!(Notes::read(&comments(&text)), Err(other));
    }
    for other in ["a = 1 # why", "\"fd_read\", # few calls"] {
        let comment = other.split_at(other.find('#').unwrap()).1;
        assert_eq!(Notes::read(&comments(&format!("{text}{other}\n"))), Err(comment));
    }
}

#[test]
fn counts_add_up_and_never_wrap() {
    let mut sum = notes();
    sum.add(notes());
    assert_eq!((sum.runs, sum.denied), (6, 8));
    assert_eq!((sum.calls["fd_write"], sum.calls["fd_read"]), (2, u64::MAX));
    assert_eq!((sum.dirs["/data"].calls, sum.dirs["/data"].paths["x/y"].reads), (18, u64::MAX));
    assert_eq!(sum.most, notes().most);
}

#[test]
fn a_common_directory_is_named_if_there_is_one() {
    let beneath = |paths: &[&str]| {
        let paths = paths.iter().map(|path| ((*path).to_owned(), Counts::default())).collect();
        DirNote { paths, ..DirNote::default() }.beneath()
    };
    assert_eq!(beneath(&["a/b/x", "a/b/y"]).as_deref(), Some("a/b"));
    for paths in [&[][..], &["x"], &["a/x", "b/x"], &["a/x", "y"], &["../x"], &["a/../../x"], &["."]] {
        assert_eq!(beneath(paths), None, "{paths:?}");
    }
}
