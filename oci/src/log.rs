//! The log file that callers name: containerd shows nothing else of an error.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// As logrus writes text.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// Where errors go, besides standard error.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The file.
    pub path: Option<PathBuf>,
    /// How its lines look.
    pub format: LogFormat,
}

impl Log {
    /// Appends an error. A log that cannot be written is no further error: the caller sees the exit status.
    pub fn error(&self, message: &str) {
        self.append("error", message);
    }

    /// Appends a warning.
    pub fn warning(&self, message: &str) {
        self.append("warning", message);
    }

    fn append(&self, level: &str, message: &str) {
        let Some(path) = &self.path else { return };
        let (time, message) = (now(), serde_json::Value::from(message).to_string());
        let line = match self.format {
            LogFormat::Text => format!("time=\"{time}\" level={level} msg={message}\n"),
            LogFormat::Json => format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":\"{time}\"}}\n"),
        };
        let file = OpenOptions::new().append(true).create(true).open(path);
        drop(file.and_then(|mut file| file.write_all(line.as_bytes())));
    }
}

/// The time as RFC 3339, in UTC.
pub fn now() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format_time(elapsed.as_secs(), elapsed.subsec_nanos())
}

/// Source of the calendar: the days of the Gregorian cycle of 400 years, counted from a first of March.
fn format_time(seconds: u64, nanoseconds: u32) -> String {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    const DAYS_TO_1970: u64 = 719_468;
    let (days, second) = (seconds / 86_400 + DAYS_TO_1970, seconds % 86_400);
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(format_time(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(format_time(951_782_400, 5), "2000-02-29T00:00:00.000000005Z");
        assert_eq!(format_time(1_795_780_799, 0), "2026-11-27T11:59:59.000000000Z");
        assert_eq!(format_time(4_107_542_399, 0), "2100-02-28T23:59:59.000000000Z");
    }

    #[test]
    fn an_error_is_one_line_whatever_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log { path: Some(path.clone()), format: LogFormat::Json };
        log.error("one\ntwo \"three\"");
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((&value["level"], &value["msg"]), (&"error".into(), &"one\ntwo \"three\"".into()));
        assert_eq!(text.lines().count(), 1);
    }
}
