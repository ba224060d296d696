//! What an attack is: data, and one function of native code.

use crate::scene::Scene;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It did what it is for, by the evidence its probe asks for.
    Done,
    /// The kernel or the filter answered with an errno.
    Errno(i32),
    /// Nothing happened.
    NoEffect,
    /// The filter refused this call, and the process ended with status 159.
    Denied(&'static str),
}

/// What has to be seen besides a call that returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Nothing: the action looked itself, or the call's result is the effect.
    Call,
    /// The files of the scene differ.
    Tree,
    /// Something arrived at a listener of the host.
    Packet,
    /// Another process got a signal.
    Hit,
    /// The host's name differs.
    Hostname,
    /// Another program ran in place of this one.
    Executed,
    /// A core file, left by a process that a fault ended.
    Core,
}

/// What an attack is after. Of the first three kinds, two layers must each stop it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes a file outside of the writable grants.
    Write,
    /// Runs another program, or code that nobody compiled.
    Exec,
    /// Sends something to somebody.
    Network,
    /// Anything else.
    Other,
    /// What the grants permit: the neighbors that must go on working.
    Permitted,
}

pub type Act = fn(&Scene) -> Result<(), i32>;

/// One attack.
#[derive(Clone)]
pub struct Probe {
    pub section: &'static str,
    pub name: &'static str,
    /// The requirements it tests.
    pub t: &'static str,
    pub kind: Kind,
    pub act: Act,
    pub evidence: Evidence,
    /// How it ends without a seal, for root and for an ordinary user. Not `Done`: the call would harm the machine, or the user may
    /// not make it anyway.
    pub control: [End; 2],
    /// How it ends with the whole seal, in the order of [`Shape::ALL`](crate::run::Shape::ALL), for both users.
    pub sealed: [[End; 3]; 2],
    /// Other processes have to be there.
    pub victims: bool,
    /// It changes mounts or the root directory, so it gets mounts of its own.
    pub own_mounts: bool,
    /// A kernel may lack the facility; then there is nothing to attack.
    pub optional: bool,
    /// It needs the listening socket of a run with a listener.
    pub listener_only: bool,
    /// The standard level ends it in another way.
    pub standard: Option<End>,
}

/// An attack that every filter refuses, by the name of the call.
pub fn attack(kind: Kind, t: &'static str, name: &'static str, call: &'static str, act: Act) -> Probe {
    Probe {
        section: "",
        name,
        t,
        kind,
        act,
        evidence: Evidence::Call,
        control: [End::Done; 2],
        sealed: [[End::Denied(call); 3]; 2],
        victims: false,
        own_mounts: false,
        optional: false,
        listener_only: false,
        standard: None,
    }
}

impl Probe {
    pub fn seen_by(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    /// Another end than the refusal, where files are granted.
    pub fn with_files(mut self, end: End) -> Self {
        for user in &mut self.sealed {
            user[1] = end;
            user[2] = end;
        }
        self
    }

    /// Another end with a listener alone.
    pub fn with_listener(mut self, end: End) -> Self {
        self.sealed[0][2] = end;
        self.sealed[1][2] = end;
        self
    }

    /// Another end everywhere.
    pub fn always(mut self, end: End) -> Self {
        self.sealed = [[end; 3]; 2];
        self
    }

    /// Another end where files are granted, for an ordinary user.
    pub fn ordinary_with_files(mut self, end: End) -> Self {
        self.sealed[1][1] = end;
        self.sealed[1][2] = end;
        self
    }

    /// The call's success would harm the machine, so its control ends where the kernel looks at the arguments, which is behind its
    /// check of privileges.
    pub fn reached(mut self, errno: i32) -> Self {
        self.control = [End::Errno(errno); 2];
        self
    }

    /// An ordinary user is refused by the kernel anyway.
    pub fn needs_root(self) -> Self {
        self.needs_root_else(libc::EPERM)
    }

    pub fn needs_root_else(mut self, errno: i32) -> Self {
        self.control[1] = End::Errno(errno);
        self
    }

    /// An ordinary user may call it, and nothing happens.
    pub fn means_nothing_without_root(mut self) -> Self {
        self.control[1] = End::NoEffect;
        self
    }

    pub fn on_others(mut self) -> Self {
        self.victims = true;
        self
    }

    pub fn with_own_mounts(mut self) -> Self {
        self.own_mounts = true;
        self
    }

    pub fn where_available(mut self) -> Self {
        self.optional = true;
        self
    }

    pub fn on_the_listener(mut self) -> Self {
        self.listener_only = true;
        self
    }

    pub fn at_standard(mut self, end: End) -> Self {
        self.standard = Some(end);
        self
    }

    /// Whether the control shows the attack's effect or, where that would do harm, that it got past the check of privileges.
    pub fn is_only_reached(&self) -> bool {
        self.control[0] != End::Done && self.kind != Kind::Permitted
    }
}

impl End {
    pub fn text(self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::NoEffect => "no effect".to_owned(),
            Self::Errno(errno) => errno_name(errno),
            Self::Denied(call) => format!("159 {call}"),
        }
    }
}

pub fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}
