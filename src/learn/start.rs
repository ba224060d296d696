//! Where the program started (`--cwd`): the run has that directory once more, by the name `.`, which the policy says by its key `cwd`.
//! So what was used of it counts for the directory around it, which the program would have used without.

use super::narrow::Granted;
use super::used::{Use, UsedGrant};
use std::path::{Component, Path, PathBuf};
use wave_engine::Plan;

/// The variable that says it to programs.
const VARIABLE: &str = "PWD";

/// Where the program started.
pub struct Start {
    cwd: String,
    /// The directory that was added, if a grant is not called so already.
    added: Option<usize>,
    /// The directory around it, and the path in there.
    around: Option<(usize, String)>,
}

impl Start {
    /// Where a plan lets its program start. `None`: where every program does.
    pub fn of(plan: &Plan) -> Option<Self> {
        let cwd = plan.settings.cwd.clone()?;
        let grants = plan.grants.iter().enumerate().filter(|(index, _)| plan.cwd_grant != Some(*index));
        let around = grants.filter_map(|(index, grant)| {
            let name = rooted(&grant.guest);
            let within = Path::new(&cwd).strip_prefix(&name).ok()?.display().to_string();
            Some((name.components().count(), index, within))
        });
        // The longest name decides, and the last of equal ones, as for the run.
        let around = around.max_by_key(|(len, ..)| *len).map(|(_, index, within)| (index, within));
        Some(Self { cwd, added: plan.cwd_grant, around })
    }

    /// Takes what was added for it from what was granted.
    pub fn leave_out(&self, granted: &mut Granted) {
        if let Some(added) = self.added {
            granted.dirs.truncate(added);
        }
        granted.env.retain(|(name, _)| name != VARIABLE);
    }

    /// Counts what was used of the added directory for the one around it. If that was not used either, the policy does not name it, and
    /// says no more than the variable.
    pub fn count_for_around(self, used: &mut Use, granted: &mut Granted) {
        let added = self.added.and_then(|added| used.grants.split_off(added.min(used.grants.len())).into_iter().next());
        let around = self.around.and_then(|(index, within)| Some((used.grants.get_mut(index)?, within)));
        let is_used = around.is_some_and(|(around, within)| {
            absorb(around, added.unwrap_or_default(), &within);
            around.calls > 0
        });
        if !is_used {
            granted.settings.cwd = None;
            granted.env.push((VARIABLE.to_owned(), Some(self.cwd)));
        }
    }
}

/// Adds what was used of the directory `within` another one to that.
fn absorb(around: &mut UsedGrant, added: UsedGrant, within: &str) {
    around.calls = around.calls.saturating_add(added.calls);
    around.appends = around.appends.saturating_add(added.appends);
    around.changes = around.changes.saturating_add(added.changes);
    for (path, counts) in added.paths {
        let path = match (within, &*path) {
            ("", _) => path,
            (_, ".") => within.to_owned(),
            _ => format!("{within}/{path}"),
        };
        let sum = around.paths.get(&path).copied().unwrap_or_default().plus(counts);
        around.paths.insert(path, sum);
    }
}

/// A guest name as wasi-libc compares it: `data`, `./data` and `/data` are one.
fn rooted(guest: &str) -> PathBuf {
    let parts = Path::new(guest).components().filter(|part| matches!(part, Component::Normal(_)));
    Path::new("/").join(parts.collect::<PathBuf>())
}
