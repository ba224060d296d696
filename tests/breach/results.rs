//! All attempts, and what came of each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::cage::{Cage, User};
use crate::probe::{End, Evidence, Probe};
use crate::run::{Column, Outcome, Setup, Shape, attempt};
use crate::scene::Host;
use crate::sweep;

/// What a kernel says that lacks something.
const UNAVAILABLE: [&str; 8] =
    ["ENOSYS", "EIO", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EOPNOTSUPP", "ENODEV", "signal SIGSEGV"];

#[derive(Clone, Debug, Default)]
pub struct Results {
    outcomes: BTreeMap<String, Outcome>,
    /// Of every socket family, kind and shape: how making one ended. Empty when a filter chose attacks.
    pub sockets: Vec<String>,
}

impl Results {
    /// Makes all attempts of each user, side by side.
    pub fn collect(probes: &[Probe], users: &[User], filter: &str) -> Vec<Self> {
        let start = |user: &User| {
            let file = tempfile::NamedTempFile::new().expect("a temporary file");
            let cage = Cage::start(|| fs::write(file.path(), attempt_all(probes, *user, filter)).expect("own file"));
            (file, cage)
        };
        let running: Vec<_> = users.iter().map(start).collect();
        let finish = |(file, cage): (tempfile::NamedTempFile, Cage)| {
            assert!(cage.ended_well(), "an attempt went wrong: see above");
            Self::parse(&fs::read_to_string(file.path()).expect("own file"))
        };
        running.into_iter().map(finish).collect()
    }

    fn parse(text: &str) -> Self {
        let mut results = Self::default();
        for line in text.lines() {
            match *line.split('\t').collect::<Vec<_>>() {
                [key, end, writable] => {
                    let outcome = Outcome { end: end.to_owned(), writable_code: writable == "true" };
                    results.outcomes.insert(key.to_owned(), outcome);
                }
                [line] => results.sockets.push(line.to_owned()),
                _ => panic!("{line}"),
            }
        }
        results
    }

    pub fn has(&self, probe: &Probe) -> bool {
        self.outcomes.contains_key(&key(probe, matrix_shape(probe), Setup::Bare))
    }

    pub fn of(&self, probe: &Probe, shape: Shape, setup: Setup) -> &Outcome {
        let key = key(probe, shape, setup);
        self.outcomes.get(&key).unwrap_or_else(|| panic!("no attempt {key}"))
    }

    /// How the attack ends without a seal.
    pub fn control(&self, probe: &Probe) -> &str {
        &self.of(probe, matrix_shape(probe), Setup::Bare).end
    }

    /// Whether this kernel has what the attack is about.
    pub fn is_available(&self, probe: &Probe) -> bool {
        // Where core files go to a program or another directory, there is none to find.
        let lacks_core = probe.evidence == Evidence::Core && self.control(probe) == End::NoEffect.text();
        !(probe.optional && (lacks_core || UNAVAILABLE.contains(&self.control(probe))))
    }

    /// What a layer means for an attack.
    pub fn cell(&self, probe: &Probe, column: Column) -> Cell {
        let shape = matrix_shape(probe);
        let control = self.control(probe);
        let opens = self.of(probe, shape, Setup::Without(column)).end == control;
        let is_open_anyway = self.of(probe, shape, Setup::Strict).end == control;
        let stops = self.of(probe, shape, Setup::Alone(column)).end != control;
        match (opens && !is_open_anyway, stops) {
            (true, _) => Cell::Only,
            (false, true) => Cell::Stops,
            (false, false) => Cell::Nothing,
        }
    }

    /// The layers that each stop an attack without any other.
    pub fn stopped_by(&self, probe: &Probe) -> Vec<Column> {
        let alone = |column: &Column| self.of(probe, matrix_shape(probe), Setup::Alone(*column));
        Column::ALL.into_iter().filter(|column| alone(column).end != self.control(probe)).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Nothing,
    /// The layer stops it with no other layer applied.
    Stops,
    /// Without the layer, the attack succeeds.
    Only,
}

/// The shape for which each layer is removed in turn: the one with the most calls in its filter and all layers applied, but for
/// what only a listener makes possible.
pub fn matrix_shape(probe: &Probe) -> Shape {
    if probe.listener_only { Shape::Listener } else { Shape::Files }
}

/// The shapes in which an attack makes sense.
pub fn shapes(probe: &Probe) -> &'static [Shape] {
    if probe.listener_only { &[Shape::Listener] } else { &Shape::ALL }
}

/// In a cage: a line for each attempt.
fn attempt_all(probes: &[Probe], user: User, filter: &str) -> String {
    let mut host = Host::new(user);
    let mut text = String::new();
    for probe in probes.iter().filter(|probe| probe.name.contains(filter)) {
        for (shape, setup) in attempts(probe) {
            let Outcome { end, writable_code } = attempt(&mut host, probe, shape, setup, user);
            let key = key(probe, shape, setup);
            writeln!(text, "{key}\t{end}\t{writable_code}").expect("text");
        }
    }
    if filter.is_empty() {
        sweep::run(&mut host, user, &mut text);
    }
    text
}

fn attempts(probe: &Probe) -> Vec<(Shape, Setup)> {
    let mut all = vec![(matrix_shape(probe), Setup::Bare), (matrix_shape(probe), Setup::Standard)];
    all.extend(shapes(probe).iter().map(|shape| (*shape, Setup::Strict)));
    let shape = matrix_shape(probe);
    let each = |column| [(shape, Setup::Without(column)), (shape, Setup::Alone(column))];
    all.extend(Column::ALL.into_iter().flat_map(each));
    all
}

fn key(probe: &Probe, shape: Shape, setup: Setup) -> String {
    format!("{} | {} | {shape:?} | {setup:?}", probe.section, probe.name)
}
