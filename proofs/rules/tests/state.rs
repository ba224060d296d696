//! Everything that can happen to a state, on a machine so small that all of it is tried: copies hold equal bits, and what is known is
//! so.
//!
//! The machine has three registers, one of them the stack pointer and one that calls change, and three words of the frame. Its
//! bits are not numbers but names: each write of anything makes a new one, and a copy has the name of its original. So one run of
//! the machine stands for all numbers. After every operation, whoever may write below the stack pointer does.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use wave_verifier::rules::{Flags, Gpr, Home, Operand, State, Value};

/// How many operations follow each other.
const DEPTH: usize = 4;
/// How many lead to the two states of a join, and how many follow it.
const BEFORE_JOIN: usize = 1;
const AFTER_JOIN: usize = 1;

const LOST: Gpr = Gpr::RAX;
const SAVED: Gpr = Gpr::RBX;
const REGISTERS: [Gpr; 3] = [LOST, SAVED, Gpr::RSP];

/// The words, and the two places between them.
const WORDS: [i32; 5] = [-24, -20, -16, -12, -8];
/// Where the stack pointer can be.
const STACKS: [i32; 4] = [-24, -16, -8, 0];

/// The bits of half a word: which word's, and whether they are its high half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Half(Bits, bool);

/// The bits of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Bits {
    Zero,
    One,
    /// The stack pointer at entry, plus this.
    Stack(i32),
    /// Anything, by number.
    Any(u8),
}

type Word = [Half; 2];

const fn word(bits: Bits) -> Word {
    [Half(bits, false), Half(bits, true)]
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Machine {
    lost: Word,
    saved: Word,
    pointer: i32,
    /// From offset -24 on.
    frame: [Half; 6],
    /// What was compared last.
    compared: Option<Word>,
    /// The names so far.
    names: u8,
}

impl Machine {
    fn new() -> Self {
        let mut machine = Self {
            lost: word(Bits::Any(0)),
            saved: word(Bits::Any(1)),
            pointer: 0,
            frame: [Half(Bits::Any(2), false); 6],
            compared: None,
            names: 2,
        };
        machine.disturb();
        machine
    }

    fn fresh(&mut self) -> Word {
        self.names += 1;
        word(Bits::Any(self.names))
    }

    fn at(offset: i32) -> usize {
        usize::try_from((offset + 24) / 4).expect("an offset in the frame")
    }

    fn get(&self, home: Home) -> Word {
        match (home.as_register(), home.as_word()) {
            (Some(LOST), _) => self.lost,
            (Some(SAVED), _) => self.saved,
            (Some(_), _) => word(Bits::Stack(self.pointer)),
            (None, at) => {
                let at = Self::at(at.expect("a register or a word"));
                [self.frame[at], self.frame[at + 1]]
            }
        }
    }

    fn put(&mut self, home: Home, bits: Word) {
        match (home.as_register(), home.as_word()) {
            (Some(LOST), _) => self.lost = bits,
            (Some(SAVED), _) => self.saved = bits,
            (Some(_), _) => panic!("the stack pointer is moved, not written"),
            (None, at) => {
                let at = Self::at(at.expect("a register or a word"));
                [self.frame[at], self.frame[at + 1]] = bits;
            }
        }
    }

    /// Whoever may write below the stack pointer does.
    fn disturb(&mut self) {
        for at in 0..Self::at(self.pointer) {
            let [half, _] = self.fresh();
            self.frame[at] = half;
        }
    }

    /// From now on, only the runs count in which this name is zero.
    fn is_zero(&mut self, name: u8) {
        let learn = |half: &mut Half| {
            if half.0 == Bits::Any(name) {
                half.0 = Bits::Zero;
            }
        };
        self.lost.iter_mut().chain(&mut self.saved).chain(&mut self.frame).for_each(learn);
        self.compared.iter_mut().flatten().for_each(learn);
    }

    /// Names in the order in which they are met, so that machines which differ in names alone are equal.
    fn rename(&mut self) {
        let mut names = Vec::new();
        let mut rename = |half: &mut Half| {
            if let Half(Bits::Any(name), _) = *half {
                let known = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                });
                half.0 = Bits::Any(u8::try_from(known).expect("few names"));
            }
        };
        self.lost.iter_mut().chain(&mut self.saved).chain(&mut self.frame).for_each(&mut rename);
        self.compared.iter_mut().flatten().for_each(&mut rename);
        self.names = u8::try_from(names.len()).expect("few names");
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// The stack pointer moves.
    Move(i32),
    /// A register or a word is written with all bits of another.
    Copy(Home, Home),
    /// It is written with a known number.
    Constant(Home, Bits),
    /// It is written with anything.
    Write(Home),
    /// Four bytes of the frame are written.
    Half(i32),
    /// A call.
    Call,
    /// A register is compared.
    Compare(Gpr),
    /// The register that was compared, or another, turns out to be zero.
    Learn(Gpr),
}

fn operations() -> Vec<Operation> {
    let registers = REGISTERS.map(Home::register);
    let homes = || registers.into_iter().chain(WORDS.map(Home::word));
    let mut all = Vec::from_iter(STACKS.map(Operation::Move));
    for from in homes() {
        all.extend(homes().filter(|to| *to != from).map(|to| Operation::Copy(from, to)));
    }
    for home in homes().filter(|home| home.as_register() != Some(Gpr::RSP)) {
        all.extend([
            Operation::Constant(home, Bits::Zero),
            Operation::Constant(home, Bits::One),
            Operation::Write(home),
        ]);
    }
    all.extend([-24, -20, -16, -12, -8, -4].map(Operation::Half));
    all.extend(
        [LOST, SAVED].into_iter().flat_map(|register| [Operation::Compare(register), Operation::Learn(register)]),
    );
    all.push(Operation::Call);
    all
}

/// What is known of a home.
fn known(state: &State, home: Home) -> Value {
    match (home.as_register(), home.as_word()) {
        (Some(register), _) => state.get(register),
        (None, at) => state.slot(at.expect("a register or a word")),
    }
}

/// Whether a home is one that an instruction may reach now.
fn is_there(machine: &Machine, home: Home) -> bool {
    home.as_word().is_none_or(|at| at >= machine.pointer)
}

/// Does one operation to both, as the rules of instructions do. `None`: it cannot happen now.
fn apply(state: &State, machine: &Machine, operation: Operation) -> Option<(State, Machine)> {
    let (mut state, mut machine) = (state.clone(), machine.clone());
    let put = |state: &mut State, home: Home, value: Value| match (home.as_register(), home.as_word()) {
        (Some(register), _) => state.set(register, value),
        (None, at) => state.write(at.expect("a register or a word"), 8, value),
    };
    match operation {
        Operation::Move(to) => {
            state.set(Gpr::RSP, Value::Frame(to));
            machine.pointer = to;
        }
        Operation::Copy(from, to) => {
            if !is_there(&machine, from) || !is_there(&machine, to) {
                return None;
            }
            let (value, bits) = (known(&state, from), machine.get(from));
            if to.as_register() == Some(Gpr::RSP) {
                // Only an address in the frame can become the stack pointer. It moves before the copy is noted.
                let Value::Frame(pointer) = value else { return None };
                machine.pointer = pointer;
            } else {
                machine.put(to, bits);
            }
            put(&mut state, to, value);
            state.copied(from, to);
        }
        Operation::Constant(home, bits) => {
            if !is_there(&machine, home) {
                return None;
            }
            machine.put(home, word(bits));
            put(&mut state, home, Value::exactly(u64::from(bits == Bits::One)));
        }
        Operation::Write(home) => {
            if !is_there(&machine, home) {
                return None;
            }
            let bits = machine.fresh();
            machine.put(home, bits);
            put(&mut state, home, Value::Any);
        }
        Operation::Half(at) => {
            if at < machine.pointer {
                return None;
            }
            let [half, _] = machine.fresh();
            machine.frame[Machine::at(at)] = half;
            state.write(at, 4, Value::Any);
        }
        Operation::Call => {
            machine.lost = machine.fresh();
            machine.compared = None;
            state.clobber();
        }
        Operation::Compare(register) => {
            machine.compared = Some(machine.get(Home::register(register)));
            let left = Operand { register: Some(register), value: state.get(register) };
            let right = Operand { register: None, value: Value::exactly(0) };
            state.flags = Flags::Compared { left, right, bytes: 8 };
        }
        Operation::Learn(register) => {
            match machine.get(Home::register(register)) {
                [Half(Bits::Any(name), false), Half(Bits::Any(other), true)] if name == other => {
                    machine.is_zero(name);
                }
                bits if bits == word(Bits::Zero) => {}
                _ => return None,
            }
            state.learn(register, Value::exactly(0));
        }
    }
    machine.disturb();
    machine.rename();
    Some((state, machine))
}

/// Whether a value describes these bits.
fn describes(value: Value, bits: Word) -> bool {
    match value {
        Value::Any | Value::Saved(_) | Value::Return => true,
        Value::Number { low: 0, span: 0 } => bits == word(Bits::Zero),
        Value::Number { low: 1, span: 0 } => bits == word(Bits::One),
        Value::U32 => [Bits::Zero, Bits::One].map(word).contains(&bits),
        Value::Frame(at) => bits == word(Bits::Stack(at)),
        _ => false,
    }
}

/// Whether the state describes the machine: an error says what it claims wrongly.
fn check(state: &State, machine: &Machine) -> Result<(), String> {
    state.check()?;
    if state.stack() != Some(machine.pointer) {
        return Err(format!("the stack pointer is {}, not {:?}", machine.pointer, state.stack()));
    }
    for register in REGISTERS {
        let (home, value) = (Home::register(register), state.get(register));
        if !describes(value, machine.get(home)) {
            return Err(format!("register {} is {:?}, and known as {value:?}", register.0, machine.get(home)));
        }
        if let Some(copy) = state.copy_of(register)
            && machine.get(copy) != machine.get(home)
        {
            return Err(format!(
                "register {} is {:?}, and {copy:?}, {:?}, is said to be the same",
                register.0,
                machine.get(home),
                machine.get(copy)
            ));
        }
    }
    for (at, value) in state.words().iter().filter(|(at, _)| *at < 0) {
        let bits = machine.get(Home::word(*at));
        if !describes(*value, bits) {
            return Err(format!("word {at} is {bits:?}, and known as {value:?}"));
        }
    }
    if let Flags::Compared { left, .. } = state.flags {
        let compared = machine.compared.ok_or("nothing was compared")?;
        if !describes(left.value, compared) {
            return Err(format!("{compared:?} was compared, and is known as {:?}", left.value));
        }
        if let Some(register) = left.register
            && machine.get(Home::register(register)) != compared
        {
            return Err(format!("register {} no longer holds what was compared", register.0));
        }
    }
    Ok(())
}

/// A state, the machine that it describes, and how both came about.
#[derive(Clone)]
struct Reached {
    state: State,
    machine: Machine,
    history: Vec<Operation>,
}

impl Reached {
    /// Two hashes of both, in the place of what would take much memory.
    fn key(&self) -> (u64, u64) {
        let mut hashes = Hashes(DefaultHasher::new(), DefaultHasher::new());
        hashes.1.write_u8(1);
        write!(hashes, "{:?}", self.state).expect("hashing never fails");
        self.machine.hash(&mut hashes.0);
        self.machine.hash(&mut hashes.1);
        (hashes.0.finish(), hashes.1.finish())
    }
}

/// Hashes what is written.
struct Hashes(DefaultHasher, DefaultHasher);

impl fmt::Write for Hashes {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        self.1.write(text.as_bytes());
        Ok(())
    }
}

/// A function that has made room for its frame.
fn framed() -> Reached {
    let start = apply(&State::at_entry(), &Machine::new(), Operation::Move(STACKS[0]));
    let (state, machine) = start.expect("the stack pointer can always move");
    Reached { state, machine, history: Vec::new() }
}

/// Everything that is reached from some states by so many operations more. Panics at the first that is wrong.
fn explore(starts: Vec<Reached>, depth: usize) -> Vec<Reached> {
    let operations = operations();
    let mut seen: HashSet<(u64, u64)> = starts.iter().map(Reached::key).collect();
    let (mut all, mut last) = (starts.clone(), starts);
    for _ in 0..depth {
        let mut next = Vec::new();
        for reached in &last {
            for operation in &operations {
                let Some((state, machine)) = apply(&reached.state, &reached.machine, *operation) else { continue };
                let mut history = reached.history.clone();
                history.push(*operation);
                if let Err(what) = check(&state, &machine) {
                    panic!("{what}, after {} operations: {history:?}", history.len());
                }
                let new = Reached { state, machine, history };
                if seen.insert(new.key()) {
                    next.push(new);
                }
            }
        }
        all.extend(next.iter().cloned());
        last = next;
    }
    all
}

#[test]
fn what_is_known_is_so_whatever_happens() {
    let reached = explore(vec![framed()], DEPTH);
    println!("{} states and machines by {DEPTH} operations of {}", reached.len(), operations().len());
}

#[test]
fn a_join_describes_both_machines() {
    let reached = explore(vec![framed()], BEFORE_JOIN);
    let mut joined = Vec::new();
    for one in &reached {
        for other in &reached {
            let mut state = one.state.clone();
            state.join(&other.state, &mut 0);
            if state.stack().is_none() {
                continue;
            }
            for (machine, from) in [(&one.machine, one), (&other.machine, other)] {
                if let Err(what) = check(&state, machine) {
                    panic!("{what}, where {:?} and {:?} meet", one.history, other.history);
                }
                joined.push(Reached { state: state.clone(), machine: machine.clone(), history: from.history.clone() });
            }
        }
    }
    let after = explore(joined, AFTER_JOIN);
    println!("{} states, {} behind their joins", reached.len(), after.len());
}
