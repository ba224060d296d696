//! A policy as a Seatbelt profile, the text that `sandbox-exec` of macOS reads.
//!
//! It lies beside the platforms' folders, because it is pure text: every platform compiles and tests it, and the errors of a seal name it.
//!
//! Apple does not document the language. The operations and filters are those of published profiles. No macOS system has read one of
//! these profiles yet (CAVEATS.md).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use wave_policy::{Access, Policy};

/// The locations of the libraries that every program on macOS is linked with.
const LIBRARIES: [&str; 4] = ["/usr/lib", "/System/Library", "/System/Cryptexes", "/System/Volumes/Preboot/Cryptexes"];

/// Numbers that the allocator and the threads of the compiler read. None of them identifies a user or a machine.
const SYSCTLS: [&str; 7] = [
    "hw.activecpu",
    "hw.cachelinesize",
    "hw.logicalcpu_max",
    "hw.memsize",
    "hw.ncpu",
    "hw.pagesize",
    "hw.pagesize_compat",
];

/// What a run reads before its guest starts. All paths are as `realpath` gives them: the kernel compares those.
#[derive(Clone, Copy, Debug)]
pub struct Startup<'a> {
    /// The program itself, which `sandbox-exec` runs under the profile.
    pub program: &'a Path,
    /// Files it reads: the module, a policy.
    pub inputs: &'a [PathBuf],
    /// Links and directories that are looked up on the way to what was typed. Only these are not as `realpath` gives them.
    pub ways: &'a [PathBuf],
}

/// A path that cannot be written in a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A profile is text.
    #[error("`{}` is not UTF-8", .0.display())]
    NotText(PathBuf),
    /// The language has no agreed way to write these.
    #[error("`{}` has a control character", .0.display())]
    ControlCharacter(PathBuf),
    /// Relative, or with `.` or `..` in it.
    #[error("`{}` is not an absolute path without `.` and `..`", .0.display())]
    NotResolved(PathBuf),
}

/// The profile of a policy. It allows what the grants and listeners allow and what the program needs to start, and denies everything else.
/// `is_directory` says whether a grant is a directory, with everything under it, or a file.
///
/// # Errors
/// [`ProfileError`] for a path that has no form in the language that means only that path.
///
/// ```
/// use std::path::Path;
/// use wave_policy::{Access, FilesystemGrant, Policy};
/// use wave_sandbox::seatbelt::{Startup, profile};
///
/// let grants = vec![FilesystemGrant { host: "/srv/data".into(), access: Access::ReadOnly }];
/// let policy = Policy { grants, ..Policy::default() };
/// let startup = Startup { program: Path::new("/usr/local/bin/wave"), inputs: &["/srv/app.wasm".into()], ways: &[] };
/// let text = profile(&policy, startup, |_| true)?;
/// assert!(text.starts_with("(version 1)\n(deny default)\n"));
/// assert!(text.contains(r#"(allow file-read* (subpath "/srv/data"))"#));
/// # Ok::<(), wave_sandbox::seatbelt::ProfileError>(())
/// ```
pub fn profile(
    policy: &Policy,
    startup: Startup<'_>,
    is_directory: impl Fn(&Path) -> bool,
) -> Result<String, ProfileError> {
    let mut text = Profile("(version 1)\n(deny default)\n".to_owned());
    let program = literal(startup.program)?;
    // `sandbox-exec` applies the profile first and executes the program then. Nothing may fork.
    text.allow("process-exec", [program.clone()]);
    let libraries = LIBRARIES.iter().map(|path| format!("(subpath {})", quoted(path)));
    text.allow("file-read* file-map-executable", [program].into_iter().chain(libraries));
    let inputs: Result<Vec<_>, _> = startup.inputs.iter().map(|path| literal(path)).collect();
    // The dynamic linker of newer versions opens `/`; std opens /dev/null for a standard stream that is closed.
    let devices = ["/", "/dev/null", "/dev/urandom"].map(|path| format!("(literal {})", quoted(path)));
    text.allow("file-read*", devices.into_iter().chain(inputs?));
    text.allow("sysctl-read", SYSCTLS.iter().map(|name| format!("(sysctl-name {})", quoted(name))));
    text.allow("signal", ["(target self)".to_owned()]);
    text.allow("process-info*", ["(target self)".to_owned()]);
    text.allow("file-read-metadata", parents(policy, startup)?);
    for grant in &policy.grants {
        let filter = if is_directory(&grant.host) { subpath(&grant.host)? } else { literal(&grant.host)? };
        text.allow(operations(grant.access), [filter]);
    }
    for listener in &policy.listeners {
        text.allow("network-bind network-inbound", [format!("(local tcp {})", quoted(&address(listener)))]);
    }
    Ok(text.0)
}

/// The operations of an access: those of Landlock's rights, as far as the language has them. Truncating a file is `file-write-data`, so
/// `append` includes it. No access changes mode, owner, flags or attributes, or makes devices or links.
fn operations(access: Access) -> &'static str {
    match access {
        Access::ReadOnly => "file-read*",
        Access::Append => "file-read* file-write-data file-write-create",
        Access::ReadWrite => "file-read* file-write-data file-write-create file-write-unlink file-write-times",
    }
}

/// The parent directories of everything that is granted or read, and what leads there, so that a path can be resolved from the root.
fn parents(policy: &Policy, startup: Startup<'_>) -> Result<BTreeSet<String>, ProfileError> {
    let granted = policy.grants.iter().map(|grant| grant.host.as_path());
    let read = startup.inputs.iter().map(PathBuf::as_path);
    let mut parents = BTreeSet::new();
    for path in granted.chain(read).chain([startup.program]) {
        checked(path)?;
        for parent in path.ancestors().skip(1) {
            parents.insert(literal(parent)?);
        }
    }
    for path in startup.ways {
        parents.insert(literal(path)?);
    }
    Ok(parents)
}

/// An address of a listener. The language has only two hosts: this machine and any machine.
fn address(listener: &SocketAddr) -> String {
    let host = if listener.ip().is_loopback() { "localhost" } else { "*" };
    match listener.port() {
        0 => format!("{host}:*"),
        port => format!("{host}:{port}"),
    }
}

fn literal(path: &Path) -> Result<String, ProfileError> {
    Ok(format!("(literal {})", quoted(checked(path)?)))
}

fn subpath(path: &Path) -> Result<String, ProfileError> {
    Ok(format!("(subpath {})", quoted(checked(path)?)))
}

fn checked(path: &Path) -> Result<&str, ProfileError> {
    let text = path.to_str().ok_or_else(|| ProfileError::NotText(path.to_owned()))?;
    if text.contains(char::is_control) {
        return Err(ProfileError::ControlCharacter(path.to_owned()));
    }
    // The path must equal its parts joined again. This rejects `a//b`, `a/` and `a/./b` too, which are other texts to the kernel's
    // comparison.
    let parts = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.has_root() || !parts || path.components().collect::<PathBuf>().as_os_str() != path.as_os_str() {
        return Err(ProfileError::NotResolved(path.to_owned()));
    }
    Ok(text)
}

/// A string of the language. Only two characters are special in it: `\` and `"`.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

struct Profile(String);

impl Profile {
    fn allow(&mut self, operations: &str, filters: impl IntoIterator<Item = String>) {
        let filters: Vec<String> = filters.into_iter().collect();
        // A rule without a filter would allow everything.
        if !filters.is_empty() {
            self.0 += &format!("(allow {operations} {})\n", filters.join(" "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use wave_policy::FilesystemGrant;
    use wave_test_support::seatbelt::{Filter, Profile as Read};

    /// An expression of the language.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Expr {
        Word(String),
        Text(String),
        List(Vec<Expr>),
    }

    /// Reads a whole profile; `None` when it is not balanced.
    fn parse(text: &str) -> Option<Vec<Expr>> {
        let mut open: Vec<Vec<Expr>> = vec![Vec::new()];
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '(' => open.push(Vec::new()),
                ')' => {
                    let list = open.pop()?;
                    open.last_mut()?.push(Expr::List(list));
                }
                '"' => {
                    let mut text = String::new();
                    loop {
                        match chars.next()? {
                            '"' => break,
                            '\\' => text.push(chars.next()?),
                            other => text.push(other),
                        }
                    }
                    open.last_mut()?.push(Expr::Text(text));
                }
                ';' => return None,
                char if char.is_whitespace() => {}
                char => {
                    let mut word = char.to_string();
                    while let Some(next) = chars.next_if(|next| !next.is_whitespace() && !"()\";".contains(*next)) {
                        word.push(next);
                    }
                    open.last_mut()?.push(Expr::Word(word));
                }
            }
        }
        let all = open.pop()?;
        open.is_empty().then_some(all)
    }

    fn word(text: &str) -> Expr {
        Expr::Word(text.to_owned())
    }

    /// Operations, and filters as (kind, value).
    type Rule = (Vec<String>, Vec<(String, String)>);

    /// The rules of a profile.
    fn rules(text: &str) -> Vec<Rule> {
        let all = parse(text).unwrap_or_else(|| panic!("not balanced: {text}"));
        assert_eq!(all[0], Expr::List(vec![word("version"), word("1")]));
        assert_eq!(all[1], Expr::List(vec![word("deny"), word("default")]));
        let rule = |expr: &Expr| {
            let Expr::List(parts) = expr else { panic!("{expr:?}") };
            assert_eq!(parts[0], word("allow"), "{expr:?}");
            let (mut operations, mut filters) = (Vec::new(), Vec::new());
            for part in &parts[1..] {
                match part {
                    Expr::Word(operation) => operations.push(operation.clone()),
                    Expr::List(filter) => {
                        let kind: Vec<&str> = filter
                            .iter()
                            .filter_map(|part| if let Expr::Word(word) = part { Some(word.as_str()) } else { None })
                            .collect();
                        let value = filter
                            .iter()
                            .find_map(|part| if let Expr::Text(text) = part { Some(text.clone()) } else { None });
                        filters.push((kind.join(" "), value.unwrap_or_default()));
                    }
                    Expr::Text(text) => panic!("a text outside of a filter: {text}"),
                }
            }
            assert!(!filters.is_empty(), "a rule without a filter allows everything: {expr:?}");
            (operations, filters)
        };
        all[2..].iter().map(rule).collect()
    }

    fn policy(grants: &[(&str, Access)], listeners: &[&str]) -> Policy {
        let grants = grants.iter().map(|(host, access)| FilesystemGrant { host: host.into(), access: *access });
        let listeners = listeners.iter().map(|text| text.parse().expect("an address")).collect();
        Policy { grants: grants.collect(), listeners, ..Policy::default() }
    }

    fn text(policy: &Policy) -> Result<String, ProfileError> {
        let startup = Startup { program: Path::new("/opt/wave"), inputs: &["/srv/app.wasm".into()], ways: &[] };
        profile(policy, startup, |path| !path.ends_with("file"))
    }

    const BASE: &str = r#"(version 1)
(deny default)
(allow process-exec (literal "/opt/wave"))
(allow file-read* file-map-executable (literal "/opt/wave") (subpath "/usr/lib") (subpath "/System/Library") (subpath "/System/Cryptexes") (subpath "/System/Volumes/Preboot/Cryptexes"))
(allow file-read* (literal "/") (literal "/dev/null") (literal "/dev/urandom") (literal "/srv/app.wasm"))
(allow sysctl-read (sysctl-name "hw.activecpu") (sysctl-name "hw.cachelinesize") (sysctl-name "hw.logicalcpu_max") (sysctl-name "hw.memsize") (sysctl-name "hw.ncpu") (sysctl-name "hw.pagesize") (sysctl-name "hw.pagesize_compat"))
(allow signal (target self))
(allow process-info* (target self))
"#;

    #[test]
    fn a_policy_without_grants() {
        let parents = "(allow file-read-metadata (literal \"/\") (literal \"/opt\") (literal \"/srv\"))\n";
        assert_eq!(text(&Policy::default()), Ok(format!("{BASE}{parents}")));
    }

    /// What is typed can lead through links, which are looked up and no more.
    #[test]
    fn what_leads_to_a_grant_is_looked_up_alone() {
        let ways = ["/tmp".into(), "/tmp/in".into()];
        let startup = Startup { program: Path::new("/opt/wave"), inputs: &[], ways: &ways };
        let text = profile(&policy(&[("/private/tmp/in", Access::ReadOnly)], &[]), startup, |_| true);
        let read = Read::read(&text.expect("a profile")).expect("the grammar");
        for (operation, path, allowed) in [
            ("file-read-metadata", "/tmp", true),
            ("file-read-metadata", "/tmp/in", true),
            ("file-read-metadata", "/tmp/on", false),
            ("file-read-data", "/tmp", false),
            ("file-read-data", "/tmp/in", false),
            ("file-read-data", "/private/tmp/in", true),
        ] {
            assert_eq!(read.allows(operation, Path::new(path)), allowed, "{operation} {path}");
        }
        let relative = [PathBuf::from("tmp")];
        let startup = Startup { ways: &relative, ..startup };
        assert_eq!(profile(&Policy::default(), startup, |_| true), Err(ProfileError::NotResolved("tmp".into())));
    }

    #[test]
    fn each_access_and_listener() {
        let policy = policy(
            &[
                ("/srv/in", Access::ReadOnly),
                ("/srv/log", Access::Append),
                ("/home/a b/out", Access::ReadWrite),
                ("/srv/file", Access::ReadOnly),
            ],
            &["127.0.0.1:7777", "[::1]:0", "0.0.0.0:80", "192.0.2.1:0"],
        );
        let rest = r#"(allow file-read-metadata (literal "/") (literal "/home") (literal "/home/a b") (literal "/opt") (literal "/srv"))
(allow file-read* (subpath "/srv/in"))
(allow file-read* file-write-data file-write-create (subpath "/srv/log"))
(allow file-read* file-write-data file-write-create file-write-unlink file-write-times (subpath "/home/a b/out"))
(allow file-read* (literal "/srv/file"))
(allow network-bind network-inbound (local tcp "localhost:7777"))
(allow network-bind network-inbound (local tcp "localhost:*"))
(allow network-bind network-inbound (local tcp "*:80"))
(allow network-bind network-inbound (local tcp "*:*"))
"#;
        assert_eq!(text(&policy), Ok(format!("{BASE}{rest}")));
    }

    /// No operation that starts a program but this one, makes a process, connects or talks to a service is allowed.
    #[test]
    fn nothing_else_is_ever_allowed() {
        let wide = policy(&[("/", Access::ReadWrite), ("/a", Access::Append)], &["0.0.0.0:0"]);
        let allowed: BTreeSet<String> =
            rules(&text(&wide).expect("a profile")).into_iter().flat_map(|(operations, _)| operations).collect();
        let expected = [
            "file-map-executable",
            "file-read*",
            "file-read-metadata",
            "file-write-create",
            "file-write-data",
            "file-write-times",
            "file-write-unlink",
            "network-bind",
            "network-inbound",
            "process-exec",
            "process-info*",
            "signal",
            "sysctl-read",
        ];
        assert_eq!(allowed, expected.map(str::to_owned).into());
    }

    #[test]
    fn a_grant_of_the_root_is_one() {
        let rules = rules(&text(&policy(&[("/", Access::ReadOnly)], &[])).expect("a profile"));
        assert_eq!(rules.last(), Some(&(vec!["file-read*".into()], vec![("subpath".into(), "/".into())])));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        use ProfileError::{ControlCharacter, NotResolved};
        for (path, error) in [
            ("/a\nb", ControlCharacter as fn(PathBuf) -> ProfileError),
            ("/a\0b", ControlCharacter),
            ("/a\u{7f}", ControlCharacter),
            ("/a\u{85}", ControlCharacter),
            ("", NotResolved),
            ("a", NotResolved),
            ("/a/../b", NotResolved),
            ("/a/./b", NotResolved),
            ("/a//b", NotResolved),
            ("/a/", NotResolved),
        ] {
            assert_eq!(text(&policy(&[(path, Access::ReadOnly)], &[])), Err(error(path.into())), "{path:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(b"/a\xff"));
        let grants = vec![FilesystemGrant { host: path.clone(), access: Access::ReadOnly }];
        assert_eq!(text(&Policy { grants, ..Policy::default() }), Err(ProfileError::NotText(path.clone())));
        let startup = Startup { program: &path, inputs: &[], ways: &[] };
        assert_eq!(profile(&Policy::default(), startup, |_| true), Err(ProfileError::NotText(path)));
    }

    /// Names made to break out of a string.
    fn name() -> impl Strategy<Value = String> {
        let hostile = prop::sample::select(vec![
            "\"",
            "\\",
            "\\\"",
            ")",
            "(",
            "\") (allow file-write* (subpath \"/",
            ";",
            "#|",
            " ",
            "'",
            "ä",
            "\\n",
            "x",
        ]);
        let plain = any::<char>().prop_filter("a name", |c| !c.is_control() && *c != '/').prop_map(|c| c.to_string());
        prop::collection::vec(prop_oneof![hostile.prop_map(|text| text.replace('/', "")), plain], 1..12)
            .prop_map(|parts| parts.concat())
            .prop_filter("no dots", |name| name != "." && name != "..")
    }

    proptest! {
        #[test]
        fn a_path_means_itself_and_changes_nothing_else(names in prop::collection::vec(name(), 1..4)) {
            let path = format!("/{}", names.join("/"));
            let seen = rules(&text(&policy(&[(&path, Access::ReadWrite)], &[])).expect("a profile"));
            let plain = rules(&text(&policy(&[("/plain", Access::ReadWrite)], &[])).expect("a profile"));
            let last = seen.last().expect("the grant");
            let kind = if path.ends_with("/file") { "literal" } else { "subpath" };
            prop_assert_eq!(&last.1, &vec![(kind.to_owned(), path.clone())]);
            prop_assert_eq!(&last.0, &plain.last().expect("the grant").0);
            // Ahead of it, only the rule for the directories on the way may differ.
            prop_assert_eq!(seen.len(), plain.len());
            prop_assert_eq!(&seen[..seen.len() - 2], &plain[..plain.len() - 2]);
            let way: BTreeSet<String> = seen[seen.len() - 2].1.iter().map(|(_, value)| value.clone()).collect();
            let ancestors = Path::new(&path).ancestors().skip(1).map(|p| p.to_str().expect("text").to_owned());
            let expected: BTreeSet<String> = ancestors.chain(["/opt".to_owned(), "/srv".to_owned()]).collect();
            prop_assert_eq!(way, expected);
        }
    }

    /// Operations that name a path: those that a profile may have, and others of published profiles.
    const ON_PATHS: [&str; 14] = [
        "file-read-data",
        "file-read-metadata",
        "file-read-xattr",
        "file-map-executable",
        "process-exec",
        "file-write-data",
        "file-write-create",
        "file-write-unlink",
        "file-write-times",
        "file-write-mode",
        "file-write-owner",
        "file-write-xattr",
        "file-link",
        "file-mount",
    ];

    /// What the policy and the start allow, said again without the language.
    fn granted(policy: &Policy, operation: &str, path: &Path) -> bool {
        let [program, input] = ["/opt/wave", "/srv/app.wasm"].map(Path::new);
        let reads = operation.starts_with("file-read");
        let starts = ["/", "/dev/null", "/dev/urandom"].iter().any(|device| path == Path::new(device));
        let runs = path == program || LIBRARIES.iter().any(|library| path.starts_with(library));
        let known = policy.grants.iter().map(|grant| grant.host.as_path()).chain([program, input]);
        let is_parent = known.clone().any(|known| known != path && known.starts_with(path));
        let by_grant = policy.grants.iter().any(|grant| {
            let is_file = grant.host.ends_with("file");
            let is_under = if is_file { path == grant.host } else { path.starts_with(&grant.host) };
            let allowed = match operation {
                "file-write-data" | "file-write-create" => grant.access != Access::ReadOnly,
                "file-write-unlink" | "file-write-times" => grant.access == Access::ReadWrite,
                _ => reads,
            };
            is_under && allowed
        });
        by_grant
            || (reads && (starts || runs || path == input))
            || (operation == "file-read-metadata" && is_parent)
            || (operation == "file-map-executable" && runs)
            || (operation == "process-exec" && path == program)
    }

    fn accesses() -> impl Strategy<Value = Access> {
        prop::sample::select(vec![Access::ReadOnly, Access::Append, Access::ReadWrite])
    }

    /// Paths of few names, so that they contain each other and share beginnings.
    fn paths() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "srv", "srvx", "app.wasm", "opt", "wave", "usr", "lib", "dev", "null", "file", "a b", "\"",
        ]);
        prop::collection::vec(name, 0..4).prop_map(|names| format!("/{}", names.join("/")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Each access is allowed by the profile exactly if it is granted, as a reader of its own understands the profile.
        #[test]
        fn a_profile_allows_what_the_policy_grants_and_no_more(
            grants in prop::collection::vec((paths(), accesses()), 0..4),
            tried in prop::collection::vec(paths(), 1..6),
            ports in prop::collection::vec((any::<bool>(), 0_u16..3), 0..3),
        ) {
            let grants: Vec<(&str, Access)> = grants.iter().map(|(path, access)| (path.as_str(), *access)).collect();
            let mut policy = policy(&grants, &[]);
            let host = |local| if local { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
            policy.listeners = ports.iter().map(|(local, port)| (host(*local), *port).into()).collect();
            let written = Read::read(&text(&policy).expect("a profile")).expect("the grammar");
            // Each grant, what is under it, and the directories on the way, too.
            let near = grants.iter().flat_map(|(path, _)| Path::new(path).ancestors());
            let near = near.flat_map(|path| [path.to_owned(), path.join("under/it")]);
            for path in tried.iter().map(PathBuf::from).chain(near) {
                for operation in ON_PATHS {
                    let (allowed, granted) = (written.allows(operation, &path), granted(&policy, operation, &path));
                    prop_assert_eq!(allowed, granted, "{} {}", operation, path.display());
                }
            }
            for operation in ["network-bind", "network-inbound"] {
                let expected: Vec<Filter> = policy.listeners.iter().map(|listener| Filter::Local(address(listener))).collect();
                prop_assert_eq!(written.filters(operation).cloned().collect::<Vec<_>>(), expected);
            }
            prop_assert!(["signal", "process-info*"].iter().all(|name| written.filters(name).eq([&Filter::Own])));
        }
    }
}
