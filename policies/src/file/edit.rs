//! Changes of a policy file that keep everything else as it is: its order, its comments, its spaces.
//!
//! A change is tried and read back; one that would not be a policy file is not offered.

use super::PolicyFile;
use super::write::quote;

/// A change: whole lines of the file, and the lines that replace them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The first line that changes, from 1; behind the last one to append.
    pub line: usize,
    /// How many lines go. With none, `lines` are put in before `line`.
    pub replaces: usize,
    /// The new lines.
    pub lines: Vec<String>,
    /// The whole file with the change.
    pub source: String,
}

impl Edit {
    /// The lines in which two texts differ.
    fn between(old: &str, new: String) -> Self {
        let (before, after): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
        let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
        let (rest, changed) = (before.get(same..).unwrap_or_default(), after.get(same..).unwrap_or_default());
        let tail = rest.iter().rev().zip(changed.iter().rev()).take_while(|(a, b)| a == b).count();
        let lines = changed.iter().take(changed.len() - tail).map(|line| (*line).to_owned()).collect();
        Self { line: same + 1, replaces: rest.len() - tail, lines, source: new }
    }
}

impl PolicyFile {
    /// The text that was read.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Writes another text in the place of a value.
    pub fn replace(&self, id: &str, text: &str) -> Option<Edit> {
        let span = self.spans.get(id)?;
        let mut new = self.source.clone();
        new.get(span.clone())?;
        new.replace_range(span.clone(), text);
        self.checked(new)
    }

    /// Puts a key into a section such as `env`; makes the section if there is none.
    pub fn add_key(&self, section: &str, key: &str, value: &str) -> Option<Edit> {
        let appended = self.append(&format!("[{section}]\n{key} = {value}\n"));
        appended.or_else(|| {
            // Behind the heading, which is what a section's place is.
            let start = self.spans.get(section)?.start;
            let end = self.source.get(start..)?.find('\n').map_or(self.source.len(), |at| start + at + 1);
            self.insert(end, &format!("{key} = {value}\n"))
        })
    }

    /// Puts texts into a list of `section`; makes list and section if there are none.
    pub fn add_items<T: AsRef<str>>(&self, section: &str, key: &str, items: &[T]) -> Option<Edit> {
        let id = format!("{section}.{key}");
        let items: Vec<_> = items.iter().map(quote).collect();
        match self.spans.get(&id) {
            Some(list) => self.add_to_list(&id, list.start, &items),
            None => self.add_key(section, key, &format!("[{}]", items.join(", "))),
        }
    }

    /// Grants a directory.
    pub fn add_directory(&self, host: &str, guest: &str, access: &str) -> Option<Edit> {
        let (host, guest, access) = (quote(host), quote(guest), quote(access));
        self.append(&format!("[[fs]]\nhost = {host}\nguest = {guest}\naccess = {access}\n")).or_else(|| {
            let item = format!("{{ host = {host}, guest = {guest}, access = {access} }}");
            self.add_to_list("fs", self.spans.get("fs")?.start, &[item])
        })
    }

    /// Puts items at the end of a list, each on a line of its own where the last one has that.
    fn add_to_list(&self, id: &str, start: usize, items: &[String]) -> Option<Edit> {
        let last = (0..).map_while(|index| self.spans.get(&format!("{id}[{index}]"))).last();
        let Some(last) = last else { return self.insert(start + 1, &items.join(", ")) };
        let line_start = self.source.get(..last.start)?.rfind('\n').map_or(0, |at| at + 1);
        let indent = self.source.get(line_start..last.start)?;
        let rest = self.source.get(last.end..)?;
        let own_line = line_start > start && indent.trim().is_empty() && rest.trim_start_matches(' ').starts_with(',');
        if !own_line {
            return self.insert(last.end, &format!(", {}", items.join(", ")));
        }
        let end = rest.find('\n').map(|at| last.end + at + 1)?;
        let lines: String = items.iter().map(|item| format!("{indent}{item},\n")).collect();
        self.insert(end, &lines)
    }

    fn append(&self, text: &str) -> Option<Edit> {
        let newline = if self.source.ends_with('\n') { "" } else { "\n" };
        self.checked(format!("{}{newline}\n{text}", self.source))
    }

    fn insert(&self, at: usize, text: &str) -> Option<Edit> {
        let (before, after) = self.source.split_at_checked(at)?;
        let newline = if before.is_empty() || before.ends_with('\n') || !text.ends_with('\n') { "" } else { "\n" };
        self.checked([before, newline, text, after].concat())
    }

    fn checked(&self, new: String) -> Option<Edit> {
        Self::parse(&new).ok()?;
        Some(Edit::between(&self.source, new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(source: &str) -> PolicyFile {
        PolicyFile::parse(source).unwrap()
    }

    fn seen(edit: Option<Edit>) -> (usize, usize, String) {
        let edit = edit.unwrap();
        assert!(PolicyFile::parse(&edit.source).is_ok());
        (edit.line, edit.replaces, edit.lines.join("\n"))
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let policy = file("version = 1\n[[fs]]\nhost = \"a\" # h\naccess = \"ro\" # why\n");
        let edit = policy.replace("fs[0].access", "\"rw\"").unwrap();
        assert_eq!(edit.source, "version = 1\n[[fs]]\nhost = \"a\" # h\naccess = \"rw\" # why\n");
        assert_eq!(seen(Some(edit)), (4, 1, "access = \"rw\" # why".to_owned()));
        assert_eq!(policy.replace("fs[0].access", "\"x\""), None);
        assert_eq!(policy.replace("fs[1].access", "\"rw\""), None);
    }

    #[test]
    fn items_and_keys_come_where_they_belong() {
        let add = |source: &str| seen(file(source).add_items("env", "pass", &["B"]));
        assert_eq!(add("version = 1\n"), (2, 0, "\n[env]\npass = [\"B\"]".to_owned()));
        assert_eq!(add("version = 1"), (2, 0, "\n[env]\npass = [\"B\"]".to_owned()));
        assert_eq!(add("version = 1\n[env]\npass = []\n"), (3, 1, "pass = [\"B\"]".to_owned()));
        assert_eq!(add("version = 1\n[env]\npass = [\"A\"] # x\n"), (3, 1, "pass = [\"A\", \"B\"] # x".to_owned()));
        assert_eq!(add("version = 1\n[env]\npass = [\n  \"A\", # x\n]\n"), (5, 0, "  \"B\",".to_owned()));
        assert_eq!(add("version = 1\n[env]\npass = [\n  \"A\"\n]\n"), (4, 1, "  \"A\", \"B\"".to_owned()));
        assert_eq!(add("version = 1\n[env.set]\nA = \"1\"\n"), (4, 0, "\n[env]\npass = [\"B\"]".to_owned()));
        assert_eq!(add("version = 1\n[env]\n[env.set]\nA = \"1\"\n"), (3, 0, "pass = [\"B\"]".to_owned()));
        assert_eq!(add("version = 1\n[env]"), (3, 0, "pass = [\"B\"]".to_owned()));
        assert_eq!(file("version = 1\nenv = { set = {} }\n").add_items("env", "pass", &["B"]), None);
    }

    #[test]
    fn directories_come_at_the_end() {
        let add = |source: &str| seen(file(source).add_directory("a\"b", "/a", "ro"));
        let stanza = "\n[[fs]]\nhost = \"a\\\"b\"\nguest = \"/a\"\naccess = \"ro\"";
        assert_eq!(add("version = 1\n[net]\nlisten = []\n"), (4, 0, stanza.to_owned()));
        let (line, replaces, text) = add("version = 1\nfs = [{ host = \"x\", access = \"ro\" }]\n");
        assert_eq!((line, replaces), (2, 1));
        assert!(text.ends_with("access = \"ro\" }, { host = \"a\\\"b\", guest = \"/a\", access = \"ro\" }]"), "{text}");
        // A name that is taken cannot be used.
        assert_eq!(file("version = 1\n[[fs]]\nhost = \"/a\"\naccess = \"ro\"\n").add_directory("/b", "/a", "ro"), None);
    }
}
