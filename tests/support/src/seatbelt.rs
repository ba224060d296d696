//! A reader of Seatbelt profiles, written apart from what writes them. It refuses every operation, filter and form that no
//! profile of `wave` needs, and answers which access a profile allows.

use std::path::Path;

/// The operations that may be in a profile, and the kind of filter that each takes.
///
/// The names are those of the profiles that Apple ships in `/System/Library/Sandbox/Profiles`.
const OPERATIONS: [(&str, Kind); 13] = [
    ("file-map-executable", Kind::Path),
    ("file-read*", Kind::Path),
    ("file-read-metadata", Kind::Path),
    ("file-write-create", Kind::Path),
    ("file-write-data", Kind::Path),
    ("file-write-times", Kind::Path),
    ("file-write-unlink", Kind::Path),
    ("network-bind", Kind::Local),
    ("network-inbound", Kind::Local),
    ("process-exec", Kind::Path),
    ("process-info*", Kind::Own),
    ("signal", Kind::Own),
    ("sysctl-read", Kind::Sysctl),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Path,
    Local,
    Own,
    Sysctl,
}

/// What a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// One path.
    Literal(String),
    /// A path and everything under it.
    Subpath(String),
    /// A TCP address of this machine, as `HOST:PORT`.
    Local(String),
    /// A number of the system.
    Sysctl(String),
    /// The process itself.
    Own,
}

impl Filter {
    const fn kind(&self) -> Kind {
        match self {
            Self::Literal(_) | Self::Subpath(_) => Kind::Path,
            Self::Local(_) => Kind::Local,
            Self::Sysctl(_) => Kind::Sysctl,
            Self::Own => Kind::Own,
        }
    }

    fn is_for(&self, path: &Path) -> bool {
        match self {
            Self::Literal(this) => Path::new(this) == path,
            Self::Subpath(this) => path.starts_with(this),
            Self::Local(_) | Self::Sysctl(_) | Self::Own => false,
        }
    }
}

/// A profile: everything is denied but this.
#[derive(Clone, Debug)]
pub struct Profile(pub Vec<Rule>);

/// Operations that are allowed, and on what.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Their names.
    pub operations: Vec<String>,
    /// One of these has to hold.
    pub filters: Vec<Filter>,
}

impl Profile {
    /// Reads a whole profile.
    ///
    /// # Errors
    /// What is not in the grammar, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.strip_prefix("(version 1)\n(deny default)\n").ok_or("not denied by default")?;
        text.split_inclusive('\n').map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an operation, by its full name, is allowed on a path.
    #[must_use]
    pub fn allows(&self, operation: &str, path: &Path) -> bool {
        let is_it = |name: &String| match name.strip_suffix('*') {
            Some(start) => operation.starts_with(start),
            None => name == operation,
        };
        let mut rules = self.0.iter().filter(|rule| rule.operations.iter().any(is_it));
        rules.any(|rule| rule.filters.iter().any(|filter| filter.is_for(path)))
    }

    /// All filters of the rules with this operation.
    pub fn filters(&self, operation: &str) -> impl Iterator<Item = &Filter> {
        let rules = self.0.iter().filter(move |rule| rule.operations.iter().any(|name| name == operation));
        rules.flat_map(|rule| &rule.filters)
    }
}

/// Reads a line: `(allow OPERATION… (FILTER)…)`.
fn rule(line: &str) -> Result<Rule, String> {
    let refuse = |what: &str| format!("{what}: {line}");
    let rest = line.strip_suffix(")\n").ok_or_else(|| refuse("the line does not end"))?;
    let mut rest = rest.strip_prefix("(allow").ok_or_else(|| refuse("not a rule that allows"))?;
    let (mut operations, mut filters) = (Vec::new(), Vec::new());
    while let Some(next) = rest.strip_prefix(' ') {
        if next.starts_with('(') {
            let (filter, after) = filter(next).ok_or_else(|| refuse("an unknown filter"))?;
            filters.push(filter);
            rest = after;
        } else {
            let (name, after) = next.split_at(next.find(' ').ok_or_else(|| refuse("a rule without a filter"))?);
            if !filters.is_empty() {
                return Err(refuse("an operation after a filter"));
            }
            operations.push(name.to_owned());
            rest = after;
        }
    }
    if !rest.is_empty() || operations.is_empty() || filters.is_empty() {
        return Err(refuse("not operations and filters"));
    }
    for name in &operations {
        let (_, kind) =
            OPERATIONS.iter().find(|(known, _)| known == name).ok_or_else(|| refuse("an unknown operation"))?;
        if filters.iter().any(|filter| filter.kind() != *kind) {
            return Err(refuse("a filter of another operation"));
        }
    }
    Ok(Rule { operations, filters })
}

/// Makes a filter of what is in its quotes.
type Make = fn(String) -> Filter;

/// Reads a filter, and returns the rest.
fn filter(text: &str) -> Option<(Filter, &str)> {
    if let Some(rest) = text.strip_prefix("(target self)") {
        return Some((Filter::Own, rest));
    }
    let kinds: [(&str, Make); 4] = [
        ("(literal ", Filter::Literal),
        ("(subpath ", Filter::Subpath),
        ("(local tcp ", Filter::Local),
        ("(sysctl-name ", Filter::Sysctl),
    ];
    let (rest, kind) = kinds.iter().find_map(|(start, kind)| Some((text.strip_prefix(start)?, kind)))?;
    let mut chars = rest.strip_prefix('"')?.chars();
    let mut value = String::new();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => value.push(chars.next().filter(|char| matches!(char, '\\' | '"'))?),
            char if char.is_control() => return None,
            char => value.push(char),
        }
    }
    Some((kind(value), chars.as_str().strip_prefix(')')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rules: &str) -> Result<Profile, String> {
        Profile::read(&format!("(version 1)\n(deny default)\n{rules}"))
    }

    #[test]
    fn what_the_grammar_lacks_is_refused() {
        for (rules, why) in [
            ("(allow file-write* (literal \"/\"))\n", "an unknown operation"),
            ("(allow mach-lookup (literal \"/\"))\n", "an unknown operation"),
            ("(allow file-read*)\n", "a rule without a filter"),
            ("(allow (literal \"/\"))\n", "not operations and filters"),
            ("(allow file-read* (regex \"/\"))\n", "an unknown filter"),
            ("(allow file-read* (literal \"/\" \"/a\"))\n", "an unknown filter"),
            ("(allow file-read* (literal \"/\\n\"))\n", "an unknown filter"),
            ("(allow file-read* (literal \"/))\n", "an unknown filter"),
            ("(allow file-read* (literal \"/\") file-write-data)\n", "a rule without a filter"),
            ("(allow file-read* (target self))\n", "a filter of another operation"),
            ("(allow signal (literal \"/\"))\n", "a filter of another operation"),
            ("(deny file-read* (literal \"/\"))\n", "not a rule that allows"),
            ("(allow file-read* (literal \"/\")) (allow default)\n", "not operations and filters"),
            ("(allow file-read* (literal \"/\"))", "the line does not end"),
        ] {
            let error = read(rules).expect_err(rules);
            assert!(error.starts_with(why), "{rules}{error}");
        }
        assert_eq!(Profile::read("(version 1)\n(allow default)\n").expect_err("open"), "not denied by default");
    }

    #[test]
    fn a_profile_allows_what_it_says() {
        let profile = read("(allow file-read* file-write-data (literal \"/a \\\"\\\\\") (subpath \"/s\"))\n").unwrap();
        for (operation, path, allowed) in [
            ("file-read-data", "/a \"\\", true),
            ("file-read-metadata", "/s", true),
            ("file-write-data", "/s/x/y", true),
            ("file-write-create", "/s/x", false),
            ("file-read-data", "/a \"\\/x", false),
            ("file-read-data", "/sx", false),
            ("file-read-data", "/", false),
        ] {
            assert_eq!(profile.allows(operation, Path::new(path)), allowed, "{operation} {path}");
        }
    }
}
