//! Hooks: programs of the host that the configuration names. Source: config.md, "POSIX-platform Hooks".

use crate::config::Hook;
use std::io::{self, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use wave_engine::Failure;

/// How often a hook with a time limit is looked at.
const STEP: Duration = Duration::from_millis(2);

/// Runs hooks in their order, with the state of the container as their standard input.
///
/// # Errors
/// 125 for the first that fails or is not in time.
pub fn run(moment: &str, hooks: &[Hook], state: &str) -> Result<(), Failure> {
    for hook in hooks {
        run_one(hook, state).map_err(|what| {
            Failure::refused(format!("the hook `{}` failed: {what}", hook.path.display())).at(format!("hooks.{moment}"))
        })?;
    }
    Ok(())
}

fn run_one(hook: &Hook, state: &str) -> Result<(), String> {
    let mut command = Command::new(&hook.path);
    if let [name, args @ ..] = &*hook.args {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
        command.args(args);
    }
    command.env_clear().envs(hook.env.iter().filter_map(|variable| variable.split_once('=')));
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    if let Some(mut input) = child.stdin.take() {
        match input.write_all(state.as_bytes()) {
            // It does not have to read.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.to_string()),
            _ => {}
        }
    }
    match wait(&mut child, hook.timeout).map_err(|error| error.to_string())? {
        None => Err(format!("it did not end within {} seconds", hook.timeout.unwrap_or_default())),
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(status.to_string()),
    }
}

/// Waits for a hook. `None` if it was killed because its time was up.
fn wait(child: &mut Child, seconds: Option<u64>) -> io::Result<Option<ExitStatus>> {
    let Some(seconds) = seconds else { return child.wait().map(Some) };
    let deadline = Instant::now().checked_add(Duration::from_secs(seconds));
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<u64>) -> Hook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        Hook { path: "/bin/sh".into(), args, env: vec!["A=b".to_owned()], timeout }
    }

    #[test]
    fn hooks_get_the_state_and_their_environment_alone() {
        run("poststart", &[shell("test \"$(cat)\" = '{}' && test \"$A\" = b && test -z \"$HOME\"", None)], "{}")
            .unwrap();
        run("poststart", &[shell("exit 0", None)], &"x".repeat(1 << 20)).unwrap();
    }

    #[test]
    fn the_first_failure_ends_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let second = shell(&format!("touch {}", mark.display()), None);
        let failure = run("prestart", &[shell("exit 3", None), second.clone()], "").unwrap_err();
        assert!(failure.to_string().contains("exit status: 3"), "{failure}");
        assert!(!mark.exists());
        run("prestart", &[second], "").unwrap();
        assert!(mark.exists());
    }

    #[test]
    fn a_hook_that_hangs_is_killed() {
        let failure = run("prestart", &[shell("exec sleep 600", Some(1))], "").unwrap_err();
        assert!(failure.to_string().contains("did not end within 1 seconds"), "{failure}");
        run("prestart", &[shell("exit 0", Some(60))], "").unwrap();
    }
}
