//! What another process sees of the layers of a process in /proc, and where the report differs (T124).
//!
//! The allocator's setting, `no_new_code` and Landlock cannot be seen from outside: the breach tests attack those.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

/// Layers that only their own step applies, so that their absence can be seen, too.
const APPLIED_BY_ONE_STEP: [&str; 8] =
    ["descriptors", "wiped", "limits", "namespaces", "bounding", "identity", "final_pages", "seccomp"];

/// A process seen from outside.
pub struct Outside {
    /// Whether it was root, so that another identity is the work of the seal.
    started_as_root: bool,
    proc: String,
    status: String,
}

impl Outside {
    /// A process that runs.
    pub fn of(pid: u32, started_as_root: bool) -> Self {
        let proc = format!("/proc/{pid}");
        let status = fs::read_to_string(format!("{proc}/status")).expect("a process that lives");
        Self { started_as_root, proc, status }
    }

    /// A line of the status file, by its key.
    fn field(&self, key: &str) -> &str {
        let line = self.status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("{key} in {}", self.status)).trim()
    }

    fn ids(&self, key: &str) -> Vec<u32> {
        self.field(key).split_whitespace().map(|id| id.parse().expect("an id")).collect()
    }

    fn read(&self, name: &str) -> Option<String> {
        let bytes = fs::read(format!("{}/{name}", self.proc)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Numbers of the open descriptors; `None` when this process may not look.
    fn descriptors(&self) -> Option<Vec<u32>> {
        let entries = fs::read_dir(format!("{}/fd", self.proc)).ok()?;
        Some(entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect())
    }

    /// Whether a layer is applied; `None` if it cannot be seen from here.
    fn sees(&self, layer: &str) -> Option<bool> {
        let empty = |keys: &[&str]| Some(keys.iter().all(|key| self.field(key) == "0000000000000000"));
        match layer {
            "single_thread" => Some(self.field("Threads") == "1"),
            "descriptors" => Some(self.descriptors()?.iter().all(|fd| *fd < 100)),
            "wiped" => Some(self.read("cmdline")?.trim_end_matches('\0').matches('\0').count() == 0),
            "limits" => {
                let limits = self.read("limits")?;
                let is_zero = |name: &str| {
                    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
                    line.split_whitespace().take(2).eq(["0", "0"])
                };
                Some(["Max core file size", "Max processes", "Max locked memory"].into_iter().all(is_zero))
            }
            "namespaces" => {
                let differs = |name: &str| {
                    let own = fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
                    Some(fs::read_link(format!("{}/ns/{name}", self.proc)).ok()? != own)
                };
                Some(differs("net")? && differs("ipc")? && differs("uts")?)
            }
            "bounding" => empty(&["CapBnd"]),
            "identity" => Some(self.ids("Uid").iter().chain(&self.ids("Gid")).all(|id| *id != 0)),
            "capabilities" => empty(&["CapInh", "CapPrm", "CapEff", "CapAmb"]),
            "no_new_privs" => Some(self.field("NoNewPrivs") == "1"),
            // Root owns the files of a process that is not dumpable.
            "not_dumpable" if self.ids("Uid")[1] != 0 => {
                Some(fs::metadata(format!("{}/status", self.proc)).ok()?.uid() == 0)
            }
            "final_pages" => Some(has_final_pages(&self.read("smaps")?)),
            // This process may have a container's filter, which the other one has, too.
            "seccomp" => Some(self.field("Seccomp_filters") != own("Seccomp_filters")),
            _ => None,
        }
    }

    /// Every layer where the report differs from what is seen.
    pub fn disagreements(&self, report: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for layer in report["layers"].as_array().expect("layers") {
            let name = layer["name"].as_str().expect("a name");
            let applied = layer["state"] == "applied";
            let detail = layer["detail"].as_str().unwrap_or_default();
            match self.sees(name) {
                Some(seen) if applied && !seen => found.push(format!("{name} is reported, but not there")),
                Some(true) if name == "identity" && !self.started_as_root => {}
                Some(true) if !applied && APPLIED_BY_ONE_STEP.contains(&name) => {
                    found.push(format!("{name} is there: {layer}"))
                }
                _ => {}
            }
            let (uid, gid) = (self.ids("Uid"), self.ids("Gid"));
            if name == "identity" && applied && !detail.starts_with(&format!("uid {}, gid {},", uid[0], gid[0])) {
                found.push(format!("{detail}, but {uid:?} {gid:?}"));
            }
            let kept = self.descriptors().filter(|_| name == "descriptors" && applied);
            if let Some(open) = kept.filter(|open| !detail.starts_with(&format!("{} kept", open.len()))) {
                found.push(format!("{detail}, but {open:?}"));
            }
        }
        found
    }
}

/// A line of this process's status file, by its key.
pub fn own(key: &str) -> String {
    Outside::of(std::process::id(), false).field(key).to_owned()
}

/// The range of ids from which root gets one. A rootless container has only some low ids.
pub fn unused_ids() -> std::ops::Range<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").expect("procfs is there");
    let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    if is_whole { 1_900_000_000..2_100_000_000 } else { 1..u32::MAX }
}

/// Whether an anonymous mapping is sealed; the kernel may seal its own by itself.
fn has_final_pages(smaps: &str) -> bool {
    let mut is_anonymous = false;
    smaps.lines().any(|line| {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("VmFlags:") => is_anonymous && words.any(|flag| flag == "sl"),
            Some(first) if !first.ends_with(':') => {
                is_anonymous = words.count() == 4;
                false
            }
            _ => false,
        }
    })
}
