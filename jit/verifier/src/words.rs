//! What is known of the words of a frame: a map whose parts are shared by all states that agree on them.
//!
//! A state is copied wherever a jump leads, and differs from the one it was copied from by the few words that were written since.
//! So the words lie in a tree of which a copy shares all nodes, and a change makes new nodes only on the way from the root to
//! its place. Where two states meet, what they share is the same in both and is not looked at. That keeps time and memory in
//! proportion to the code, not to its jumps times the words of its frame.
//!
//! The tree is a Patricia tree. A leaf is a *line* of eight words; a branch distinguishes lines by the highest bit in which any
//! two of those below it differ. No leaf is without a known word, and no branch without two children, so equal maps are equal
//! trees. Only words at multiples of eight are known: those of a frame are.

use crate::value::Value;
use std::cell::Cell;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// Bytes of a word.
const WORD_BYTES: i32 = 8;

/// Words of a line.
const LINE: u32 = 8;

/// What is known of the words of a line.
type Values = [Value; LINE as usize];

/// A map from the offsets of words to what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Words {
    root: Tree,
    /// How many nodes were made since the last copy or count.
    made: Cell<u64>,
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.root == other.root
    }
}

impl Eq for Words {}

#[derive(Clone, Debug, Default)]
enum Tree {
    #[default]
    Empty,
    Leaf(Rc<Leaf>),
    Branch(Rc<Branch>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaf {
    line: u32,
    values: Values,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Branch {
    /// The bits that all lines below it have in common, those from `bit` down zero.
    line: u32,
    /// A power of two: lines that have this bit are in `high`, others in `low`.
    bit: u32,
    low: Tree,
    high: Tree,
    /// Whether any value below it is [transient](Value::is_transient).
    is_transient: bool,
}

/// Bytes of a node, at most.
pub const NODE_BYTES: u64 = (size_of::<Leaf>() + 2 * size_of::<usize>()) as u64;

/// The number of the word that a byte lies in, counted from the lowest that there may be. The highest words of a frame without
/// arguments, from offset -56 to 0, are one line.
fn number(at: i64) -> u32 {
    let above = at - i64::from(i32::MIN) + i64::from(WORD_BYTES) * i64::from(LINE - 1);
    u32::try_from(above.div_euclid(WORD_BYTES.into()).max(0)).unwrap_or(u32::MAX)
}

/// The offset of the word with a number.
fn offset(number: u32) -> i32 {
    let at = (i64::from(number) - i64::from(LINE - 1)) * i64::from(WORD_BYTES) + i64::from(i32::MIN);
    i32::try_from(at).unwrap_or(i32::MIN)
}

/// A word's line, and its place there.
const fn split(number: u32) -> (u32, usize) {
    (number / LINE, (number % LINE) as usize)
}

impl Words {
    /// Becomes a copy of another map. The nodes that the other has made count as made by the copy.
    pub fn copy_from(&mut self, other: &Self) {
        if !self.root.is_same(&other.root) {
            self.root = other.root.clone();
        }
        self.made.set(other.made.take());
    }

    /// A copy. The nodes that this map has made count as made by the copy.
    pub fn share(&self) -> Self {
        Self { root: self.root.clone(), made: Cell::new(self.made.take()) }
    }

    /// How many nodes were made since this was asked or a copy was made. They are all that a copy adds to the memory in use.
    pub fn take_made(&self) -> u64 {
        self.made.take()
    }

    /// All known words, in ascending order of their offsets.
    pub fn all(&self) -> Vec<(i32, Value)> {
        let mut all = Vec::new();
        self.root.list(&mut all);
        all
    }

    /// The word at an offset.
    pub fn get(&self, at: i32) -> Value {
        let (line, place) = split(number(at.into()));
        let mut tree = &self.root;
        loop {
            match tree {
                Tree::Branch(branch) => tree = branch.child(line),
                Tree::Leaf(leaf) if leaf.line == line && Self::can_know(at) => return leaf.values[place],
                _ => return Value::Any,
            }
        }
    }

    /// Whether there is a word at an offset that can be known.
    pub const fn can_know(at: i32) -> bool {
        at % WORD_BYTES == 0
    }

    /// Sets what is known of the word at an offset.
    pub fn set(&mut self, at: i32, value: Value) {
        if !Self::can_know(at) {
            return;
        }
        if value == Value::Any {
            return self.clear(at.into(), i64::from(at) + 1);
        }
        let (line, place) = split(number(at.into()));
        self.root.set(line, place, value, self.made.get_mut());
    }

    /// Forgets every word that has a byte from an offset on and before another.
    pub fn clear(&mut self, from: i64, before: i64) {
        if from >= before {
            return;
        }
        let gone = number(from)..=number(before - 1);
        if self.root.has(&gone)
            && let Some(root) = self.root.without(&gone, self.made.get_mut())
        {
            self.root = root;
        }
    }

    /// Forgets every transient value that `is_stale`. Adds to `visited` how many nodes were looked at.
    pub fn forget(&mut self, is_stale: &impl Fn(Value) -> bool, visited: &mut u64) {
        if let Some(root) = self.root.forget(is_stale, visited, self.made.get_mut()) {
            self.root = root;
        }
    }

    /// Joins what is known with what another map says. Returns whether it changed.
    pub fn join(&mut self, other: &Self, visited: &mut u64) -> bool {
        let joined = self.root.join(&other.root, visited, self.made.get_mut());
        let changed = joined.is_some();
        if let Some(root) = joined {
            self.root = root;
        }
        changed
    }

    /// Whether all that another map says follows from this one.
    pub fn implies(&self, other: &Self, visited: &mut u64) -> bool {
        self.root.implies(&other.root, visited)
    }

    /// Whether the tree is one that its methods leave.
    pub fn check(&self) -> Result<(), String> {
        self.root.check()
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
            || match (self, other) {
                (Self::Leaf(one), Self::Leaf(other)) => one == other,
                (Self::Branch(one), Self::Branch(other)) => one == other,
                _ => false,
            }
    }
}

impl Eq for Tree {}

impl Tree {
    /// Whether two trees are one in memory.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Empty, Self::Empty) => true,
            (Self::Leaf(one), Self::Leaf(other)) => Rc::ptr_eq(one, other),
            (Self::Branch(one), Self::Branch(other)) => Rc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// A line of words.
    fn leaf(line: u32, values: Values) -> Self {
        match values.iter().all(|value| *value == Value::Any) {
            true => Self::Empty,
            false => Self::Leaf(Rc::new(Leaf { line, values })),
        }
    }

    /// Two trees as one; all lines of the first lack `bit`, and all of the second have it.
    fn branch(line: u32, bit: u32, low: Self, high: Self) -> Self {
        match (low, high) {
            (Self::Empty, only) | (only, Self::Empty) => only,
            (low, high) => {
                let is_transient = low.is_transient() || high.is_transient();
                Self::Branch(Rc::new(Branch { line, bit, low, high, is_transient }))
            }
        }
    }

    /// A line that all lines of the tree agree with above `bit`, and that bit; of a leaf 0.
    fn key(&self) -> Option<(u32, u32)> {
        match self {
            Self::Empty => None,
            Self::Leaf(leaf) => Some((leaf.line, 0)),
            Self::Branch(branch) => Some((branch.line, branch.bit)),
        }
    }

    fn is_transient(&self) -> bool {
        match self {
            Self::Empty => false,
            Self::Leaf(leaf) => leaf.values.iter().any(|value| value.is_transient()),
            Self::Branch(branch) => branch.is_transient,
        }
    }

    fn list(&self, all: &mut Vec<(i32, Value)>) {
        match self {
            Self::Empty => {}
            Self::Leaf(leaf) => {
                let words = (leaf.line * LINE..).zip(leaf.values).filter(|(_, value)| *value != Value::Any);
                all.extend(words.map(|(number, value)| (offset(number), value)));
            }
            Self::Branch(branch) => {
                branch.low.list(all);
                branch.high.list(all);
            }
        }
    }

    /// Sets a word to something that is known.
    fn set(&mut self, line: u32, place: usize, value: Value, made: &mut u64) {
        match self {
            Self::Leaf(leaf) if leaf.line == line => {
                if leaf.values[place] != value {
                    *made += u64::from(Rc::strong_count(leaf) > 1);
                    Rc::make_mut(leaf).values[place] = value;
                }
            }
            Self::Branch(branch) if branch.covers(line) => {
                *made += u64::from(Rc::strong_count(branch) > 1);
                let branch = Rc::make_mut(branch);
                let child = if line & branch.bit == 0 { &mut branch.low } else { &mut branch.high };
                child.set(line, place, value, made);
                // Most have no such value before or after.
                branch.is_transient = value.is_transient()
                    || branch.is_transient && (branch.low.is_transient() || branch.high.is_transient());
            }
            _ => {
                let mut values = [Value::Any; LINE as usize];
                values[place] = value;
                let (new, old) = (Self::leaf(line, values), std::mem::take(self));
                *made += 2;
                *self = match old.key() {
                    None => new,
                    Some((other, _)) => {
                        let bit = 1 << (line ^ other).ilog2();
                        let (low, high) = if line & bit == 0 { (new, old) } else { (old, new) };
                        Self::branch(line & !(2 * bit - 1), bit, low, high)
                    }
                };
            }
        }
    }

    /// The numbers of the words that can be in the tree.
    fn words(&self) -> Option<RangeInclusive<u32>> {
        let (line, bit) = self.key()?;
        let lines = if bit == 0 { 1 } else { 2 * bit };
        Some(line * LINE..=(line + (lines - 1)) * LINE + (LINE - 1))
    }

    /// Whether any word in a range is known.
    fn has(&self, range: &RangeInclusive<u32>) -> bool {
        let Some(own) = self.words() else { return false };
        if own.end() < range.start() || range.end() < own.start() {
            return false;
        }
        match self {
            Self::Empty => false,
            Self::Leaf(leaf) => {
                let known = (*own.start()..).zip(&leaf.values);
                known.into_iter().any(|(number, value)| *value != Value::Any && range.contains(&number))
            }
            Self::Branch(branch) => branch.low.has(range) || branch.high.has(range),
        }
    }

    /// The tree without the words in a range; `None` if that is no change.
    fn without(&self, range: &RangeInclusive<u32>, made: &mut u64) -> Option<Self> {
        let own = self.words()?;
        if own.end() < range.start() || range.end() < own.start() {
            return None;
        }
        if range.contains(own.start()) && range.contains(own.end()) {
            return Some(Self::Empty);
        }
        *made += 1;
        match self {
            Self::Empty => None,
            Self::Leaf(leaf) => leaf.map(|place, value| {
                let number = *own.start() + u32::try_from(place).unwrap_or(0);
                if range.contains(&number) { Value::Any } else { value }
            }),
            Self::Branch(branch) => branch.map(|child| child.without(range, made)),
        }
    }

    /// The tree without what `is_stale` of its transient values; `None` if that is no change.
    fn forget(&self, is_stale: &impl Fn(Value) -> bool, visited: &mut u64, made: &mut u64) -> Option<Self> {
        if !self.is_transient() {
            return None;
        }
        *visited += 1;
        let left = match self {
            Self::Empty => None,
            Self::Leaf(leaf) => {
                let is_lost = |value: Value| value.is_transient() && is_stale(value);
                leaf.map(|_, value| if is_lost(value) { Value::Any } else { value })
            }
            Self::Branch(branch) => branch.map(|child| child.forget(is_stale, visited, made)),
        };
        *made += u64::from(left.is_some());
        left
    }

    /// What both trees say; `None` if that is all that this one says.
    fn join(&self, other: &Self, visited: &mut u64, made: &mut u64) -> Option<Self> {
        *visited += 1;
        let (own_line, own_bit) = self.key().filter(|_| !self.is_same(other))?;
        let Some((line, bit)) = other.key() else { return Some(Self::Empty) };
        match (self, other) {
            // Nothing is known on the other side of the words that are in the other child.
            (Self::Branch(branch), _) if own_bit > bit => {
                let child = branch.child(line);
                Some(child.join(other, visited, made).unwrap_or_else(|| child.clone()))
            }
            (_, Self::Branch(branch)) if own_bit < bit => self.join(branch.child(own_line), visited, made),
            (Self::Leaf(own), Self::Leaf(other)) if own_line == line => {
                let mut values = own.values;
                let mut changed = false;
                values.iter_mut().zip(other.values).for_each(|(own, other)| changed |= own.join_with(other));
                *made += u64::from(changed);
                changed.then(|| Self::leaf(line, values))
            }
            (Self::Branch(own), Self::Branch(other)) if own_line == line => {
                let low = own.low.join(&other.low, visited, made);
                let high = own.high.join(&other.high, visited, made);
                let joined = own.with(low, high);
                *made += u64::from(joined.is_some());
                joined
            }
            _ => Some(Self::Empty),
        }
    }

    /// Whether all that another tree says follows from this one.
    fn implies(&self, other: &Self, visited: &mut u64) -> bool {
        *visited += 1;
        if self.is_same(other) {
            return true;
        }
        let Some((line, bit)) = other.key() else { return true };
        let Some((own_line, own_bit)) = self.key() else { return false };
        match (self, other) {
            (Self::Branch(branch), _) if own_bit > bit => branch.child(line).implies(other, visited),
            (Self::Leaf(own), Self::Leaf(other)) if own_line == line => {
                own.values.iter().zip(other.values).all(|(own, other)| own.implies(other))
            }
            (Self::Branch(own), Self::Branch(other)) if own_bit == bit && own_line == line => {
                own.low.implies(&other.low, visited) && own.high.implies(&other.high, visited)
            }
            // The other tree has words that this one cannot have.
            _ => false,
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Empty => Ok(()),
            Self::Leaf(leaf) if leaf.values.iter().all(|value| *value == Value::Any) => {
                Err(format!("line {:#x} has no known word", leaf.line))
            }
            Self::Leaf(_) => Ok(()),
            Self::Branch(branch) => {
                let Branch { line, bit, low, high, is_transient } = &**branch;
                for (child, has_bit) in [(low, false), (high, true)] {
                    let is_right = child
                        .key()
                        .is_some_and(|(own, lower)| lower < *bit && branch.covers(own) && (own & bit != 0) == has_bit);
                    if !is_right {
                        return Err(format!("a branch of {line:#x} by {bit:#x} has another child"));
                    }
                    child.check()?;
                }
                match *is_transient == (low.is_transient() || high.is_transient()) {
                    true => Ok(()),
                    false => Err(format!("a branch of {line:#x} is wrong about its values")),
                }
            }
        }
    }
}

impl Leaf {
    /// The line with other values; `None` if they are the same.
    fn map(&self, value: impl Fn(usize, Value) -> Value) -> Option<Tree> {
        let mut values = self.values;
        values.iter_mut().enumerate().for_each(|(place, own)| *own = value(place, *own));
        (values != self.values).then(|| Tree::leaf(self.line, values))
    }
}

impl Branch {
    /// Whether a line can be below it.
    const fn covers(&self, line: u32) -> bool {
        (line ^ self.line) < 2 * self.bit
    }

    /// Where a line is, if it is known.
    fn child(&self, line: u32) -> &Tree {
        match line & self.bit {
            _ if !self.covers(line) => &Tree::Empty,
            0 => &self.low,
            _ => &self.high,
        }
    }

    /// The branch with other children; `None` if they are the same.
    fn map(&self, mut child: impl FnMut(&Tree) -> Option<Tree>) -> Option<Tree> {
        let (low, high) = (child(&self.low), child(&self.high));
        self.with(low, high)
    }

    /// The branch with other children, where they have changed.
    fn with(&self, low: Option<Tree>, high: Option<Tree>) -> Option<Tree> {
        if low.is_none() && high.is_none() {
            return None;
        }
        let low = low.unwrap_or_else(|| self.low.clone());
        Some(Tree::branch(self.line, self.bit, low, high.unwrap_or_else(|| self.high.clone())))
    }
}

#[cfg(test)]
mod tests;
