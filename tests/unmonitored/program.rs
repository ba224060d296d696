//! `wave` with its monitor taken out, for tests of what the kernel's layers hold alone.
//!
//! A hole in the monitor would let a guest make any system call the filter permits, on any string. This program is that guest's
//! dream: the real compiler, runtime and seal under the policy `wave run` derives, and hostcalls that ask nobody. It is an
//! example target because `cargo install` never ships those; it is no test because a seal needs a process of its own.
//!
//! ```text
//! unmonitored strict|off [--user ID] [--dir HOST::GUEST::ACCESS]... [--connect GRANT]... MODULE
//! ```
#![forbid(unsafe_code)]

mod hostcalls;

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::path::PathBuf;

use hostcalls::Unmonitored;
use wave_engine::connections;
use wave_policy::{ConnectGrant, FilesystemGrant, Identity, Level, Policy, Protocol, Surface};
use wave_runtime::{Binding, Store, StoreOptions};
use wave_sandbox::{BrokerClient, Grant};
use wave_test_sealed::{self as sealed, Result};

fn main() -> ! {
    sealed::main("unmonitored", run)
}

fn run() -> Result<i32> {
    wave_sandbox::prepare_allocator();
    let Arguments { module, mut policy, connect } = Arguments::parse()?;
    let broker = connections::start(policy.level, &connect, u32::MAX).map_err(|failure| failure.to_string())?;
    let broker = match broker {
        Some(mut broker) => {
            broker.sealed()?;
            Some(broker.into_client()?)
        }
        None => None,
    };
    let kept: Vec<_> = broker.iter().map(BrokerClient::descriptor).collect();
    policy.connections = connections::ports(&connect);
    let open = |grant: &FilesystemGrant| File::open(&grant.host).map(|dir| Some(dir.into()));
    let files = policy.grants.iter().map(open).collect::<std::io::Result<_>>()?;
    // Never dropped: a sealed process cannot unmap memory.
    let mut store = ManuallyDrop::new(Store::new(StoreOptions::default(), Unmonitored { files, broker })?);
    let (placed, image) = sealed::compile(&mut store, wat::parse_file(module)?, |_, import| {
        let function = hostcalls::function(&import.name);
        Ok(function.map(Binding::Host).ok_or_else(|| format!("no function `{}`", import.name))?)
    })?;
    let (image, _) = wave_verifier::verify(image, &placed.bytes, placed.terms(), 1)?;
    let imports = placed.info.imports.iter();
    policy.surface = Surface::from_imports(imports.map(|import| (&import.module, &import.name)));
    let instance = placed.load(&mut store, image)?;

    let sealed = sealed::seal(&mut store, &policy, &kept, |Unmonitored { files, .. }| {
        let files = files.iter().flatten().zip(&policy.grants);
        files.map(|(file, grant)| Grant { fd: file.as_fd(), access: grant.access }).collect()
    })?;
    sealed::start(&mut store, &sealed, instance)
}

struct Arguments {
    module: PathBuf,
    policy: Policy,
    connect: Vec<ConnectGrant>,
}

impl Arguments {
    /// The checks of `wave run` are left out, such as the one on overlapping grants: they are decisions too.
    fn parse() -> Result<Self> {
        let mut words = std::env::args().skip(1);
        let mut next = || words.next().ok_or("an argument is missing");
        let mut policy = Policy { level: next()?.parse::<Level>()?, ..Policy::default() };
        let mut connect = Vec::new();
        loop {
            match &*next()? {
                "--user" => {
                    let id = next()?.parse()?;
                    policy.identity = Some(Identity { uid: id, gid: id });
                }
                "--dir" => {
                    let grant = next()?;
                    let (host, rest) = grant.split_once("::").ok_or("a grant is HOST::GUEST::ACCESS")?;
                    let (_, access) = rest.split_once("::").ok_or("a grant is HOST::GUEST::ACCESS")?;
                    policy.grants.push(FilesystemGrant { host: host.into(), access: access.parse()? });
                }
                "--connect" => connect.push(ConnectGrant::parse(&next()?, Protocol::Tcp)?),
                module => return Ok(Self { module: module.into(), policy, connect }),
            }
        }
    }
}
