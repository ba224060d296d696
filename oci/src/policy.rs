//! From the configuration, and a policy, to the plan of a run.
//!
//! Without a policy, the program has what the configuration gives: the root file system and everything that is mounted there. The
//! operator's policy is a file of the host that the annotation `dev.wave.policy` names. It can only narrow: the program has its
//! directories, variables, addresses and limits, inside of the container's. A policy in the image, which `dev.wave.image-policy` names,
//! takes the place of both if it allows nothing that they do not; it is refused otherwise.

use crate::config::Config;
use crate::failure::unsupported;
use crate::init::openable_devices;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use wave_engine::policy::PolicyDocument;
use wave_engine::{Access, DirectoryGrant, Failure, Identity, Level, PlanBuilder, Variable};
use wave_policy::file::{Change, Directory, Effect, Values, diff};

/// The annotation that names the operator's policy.
pub const POLICY: &str = "dev.wave.policy";

/// The annotation with addresses to listen on, separated by commas, in the network namespace of the container.
pub const LISTEN: &str = "dev.wave.tcplisten";

/// The annotation that names a policy in the container. Empty, it names none.
pub const IMAGE_POLICY: &str = "dev.wave.image-policy";

/// Annotations of ours.
const KNOWN: [&str; 3] = [POLICY, IMAGE_POLICY, LISTEN];

/// A policy of an image is no larger.
const MAX_IMAGE_POLICY_BYTES: u64 = 1 << 20;

/// Reads the operator's policy, before the process leaves the host's file system.
///
/// # Errors
/// 125 if it is not a policy, or would widen what the container has.
pub fn read(config: &Config) -> Result<Option<PolicyDocument>, Failure> {
    let unknown = config.annotations.keys().find(|key| key.starts_with("dev.wave.") && !KNOWN.contains(&key.as_str()));
    if let Some(key) = unknown {
        return Err(unsupported(&format!("the annotation {key}"), &format!("{} are", KNOWN.join(", "))));
    }
    let Some(path) = config.annotations.get(POLICY) else { return Ok(None) };
    let path = Path::new(path);
    let place = || format!("the annotation {POLICY}");
    if !path.is_absolute() {
        return Err(Failure::refused(format!("`{}` is not an absolute path", path.display())).at(place()));
    }
    let document = PolicyDocument::read(path).map_err(|failure| not_a_policy(path, &failure))?;
    check_kind(&document, POLICY)?;
    Ok(Some(document))
}

/// Refuses what a policy of a container cannot set.
fn check_kind(document: &PolicyDocument, annotation: &str) -> Result<(), Failure> {
    let values = &document.values;
    let widens = [
        (
            "sandbox",
            values.sandbox.is_some_and(|level| level != Level::Strict),
            "a container is always sealed as `strict`",
        ),
        ("args", values.args.is_some(), "the arguments are those of the configuration"),
        ("env.pass", values.env_pass.is_some(), "the environment is that of the configuration"),
    ];
    let Some((key, _, why)) = widens.iter().find(|(_, present, _)| *present) else { return Ok(()) };
    let what = format!("the policy `{}` sets `{key}`, and {why}", document.path().display());
    Err(Failure::refused(what).at(format!("the annotation {annotation}")))
}

/// Reads the policy in the image, once its root is the root of this process: `open` opens a file there. `operator` is the operator's.
///
/// # Errors
/// 125 if it is not a policy, or allows anything that the operator's, or without one the configuration, does not.
pub fn read_of_image(
    config: &Config,
    operator: Option<&PolicyDocument>,
    open: impl FnOnce(&Path) -> io::Result<File>,
) -> Result<Option<PolicyDocument>, Failure> {
    let Some(path) = config.annotations.get(IMAGE_POLICY).filter(|path| !path.is_empty()) else { return Ok(None) };
    let path = Path::new(path);
    let refuse = |what: String| {
        let failure = Failure::refused(what).at(format!("the annotation {IMAGE_POLICY}"));
        failure.fix(format!(
            "change the image, or run it without its policy: set the annotation {IMAGE_POLICY} to nothing"
        ))
    };
    let cannot = |why: &str| refuse(format!("cannot use `{}` of the image: {why}", path.display()));
    let mut text = String::new();
    let file = open(path).map_err(|error| cannot(&error.to_string()))?;
    let read = file.take(MAX_IMAGE_POLICY_BYTES + 1).read_to_string(&mut text);
    if read.is_err() || text.len() as u64 > MAX_IMAGE_POLICY_BYTES {
        return Err(cannot("it is no valid policy"));
    }
    // It may be a file of the operator's that is mounted there: nothing of it is quoted.
    let document = PolicyDocument::parse(path, &text).map_err(|_| cannot("it is no valid policy"))?;
    check_kind(&document, IMAGE_POLICY)?;
    let applied = operator.and_then(|operator| operator.values.limits.max_rss);
    if document.values.limits.max_rss.is_some_and(|bytes| applied.is_none_or(|applied| applied > bytes)) {
        return Err(cannot("it sets `max-rss`, and the cgroup is made before the image is read"));
    }
    // A link in the image would lead from inside a directory of the operator's policy to another one.
    let hosts = |policy: &PolicyDocument| policy.directories().map(|grant| grant.host).collect::<Vec<_>>();
    let allowed = operator.map(hosts);
    let is_other = |host: &PathBuf| allowed.as_ref().is_some_and(|allowed| !allowed.contains(host));
    if let Some(other) = hosts(&document).iter().find(|host| is_other(host)) {
        return Err(cannot(&format!("it grants `{}`, which the operator's policy does not", other.display())));
    }
    let given = operator.map_or_else(|| given(config), |operator| Ok(operator.values.clone()))?;
    let whose = if operator.is_some() { "the operator's policy" } else { "the configuration" };
    // What is neither wider nor narrower, as another hash of the module, is the operator's to say if there is an operator's policy.
    let is_more = |change: &Change| match change.effect {
        Effect::Widens => true,
        Effect::Neutral => operator.is_some() && change.key != "fs",
        Effect::Narrows => false,
    };
    match diff(&given, &document.values).into_iter().find(is_more) {
        Some(change) => Err(cannot(&format!("it does more than narrow {whose}: {} ({})", change.text, change.key))),
        None => Ok(Some(document)),
    }
}

/// What the configuration gives, in the words of a policy.
fn given(config: &Config) -> Result<Values, Failure> {
    let directory = |grant: DirectoryGrant| Directory {
        host: grant.host.display().to_string(),
        guest: grant.guest,
        access: grant.access,
    };
    let listen = listen(config)?;
    Ok(Values {
        sandbox: Some(Level::Strict),
        fs: grants(config).into_iter().map(directory).collect(),
        listen: (!listen.is_empty()).then_some(listen),
        ..Values::default()
    })
}

/// An image may carry the annotation, so the message quotes nothing of the file.
fn not_a_policy(path: &Path, failure: &Failure) -> Failure {
    let readable = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let why = if readable { "it is no valid policy" } else { "there is no such file" };
    let mut refused =
        Failure::refused(format!("cannot use `{}`: {why}", path.display())).at(format!("the annotation {POLICY}"));
    if readable && failure.code() == 125 {
        refused = refused.fix(format!("wave policy check {}", path.display()));
    }
    refused
}

/// The request for the run of a container, once its root is the root of this process.
///
/// # Errors
/// 125 for invalid annotations.
pub fn request(config: &Config, document: Option<PolicyDocument>) -> Result<PlanBuilder, Failure> {
    let process = config.process()?;
    let words: Vec<_> = process.args.iter().map(|word| word.clone().into_bytes()).collect();
    let [name, args @ ..] = &*words else { return Err(Failure::refused("the configuration has no process.args")) };
    let grants = if document.is_some() { Vec::new() } else { grants(config) };
    let mut env: Vec<_> = process.env.iter().map(|text| variable(text.clone().into_bytes())).collect();
    let has_pwd = process.env.iter().any(|variable| variable.starts_with("PWD="));
    if !has_pwd && process.cwd != Path::new("/") {
        env.push(variable([b"PWD=", process.cwd.as_os_str().as_encoded_bytes()].concat()));
    }
    Ok(PlanBuilder {
        policy: document,
        level: Some(Level::Strict),
        devices: if grants.is_empty() { Vec::new() } else { openable_devices(config) },
        grants,
        name: name.clone(),
        args: args.to_vec(),
        env,
        listen: listen(config)?,
        user: Some(Identity { uid: process.user.uid, gid: process.user.gid }),
        ..PlanBuilder::default()
    })
}

fn variable(text: Vec<u8>) -> Variable {
    Variable { text, is_passed: false, place: "process.env".to_owned() }
}

/// The directories of the program: the root, and what is mounted below a root that is read-only and can be written to. Mounts below
/// a root that can be written to are part of it; the kernel refuses to write to those that are read-only.
fn grants(config: &Config) -> Vec<DirectoryGrant> {
    let readonly = config.root.as_ref().is_some_and(|root| root.readonly);
    let access = if readonly { Access::ReadOnly } else { Access::ReadWrite };
    let root = DirectoryGrant::new("/", "/", access);
    let is_writable = |path: &PathBuf| readonly && is_writable_directory(path);
    let destinations = config.mounts.iter().filter(|mount| matches!(mount.kind.as_str(), "bind" | "tmpfs" | ""));
    let destinations = destinations.map(|mount| mount.destination.clone()).filter(is_writable);
    let below = destinations.map(|path| DirectoryGrant::new(&path, path.display().to_string(), Access::ReadWrite));
    std::iter::once(root).chain(below).collect()
}

fn is_writable_directory(path: &Path) -> bool {
    let is_directory = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let flags = rustix::fs::statvfs(path).map(|found| found.f_flag);
    is_directory && flags.is_ok_and(|flags| !flags.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

fn listen(config: &Config) -> Result<Vec<SocketAddr>, Failure> {
    let Some(list) = config.annotations.get(LISTEN) else { return Ok(Vec::new()) };
    let address = |text: &str| {
        text.trim().parse().map_err(|_| {
            Failure::refused(format!("{text:?} is no address with a port"))
                .at(format!("the annotation {LISTEN}"))
                .fix("write ADDRESS:PORT, for example 0.0.0.0:8080")
        })
    };
    list.split(',').map(address).collect()
}
