//! Random programs, from a fixed seed.

use wave_collector::{ELEMENTS, Kind, MODULE, Word};

use crate::machine::{Fault, Machine};
use crate::model::Model;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn word(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap_or(0)
    }

    /// A number less than `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.word() % bound
    }

    /// A number whose logarithm is random, at most `most`.
    pub fn size(&mut self, most: u32) -> u32 {
        let bits = self.below(most.ilog2() + 1);
        (self.word() & ((2 << bits) - 1)).min(most)
    }
}

/// How a root is known to the collector.
#[derive(Clone, Copy, Debug)]
enum How {
    /// By the reference.
    Exact,
    /// Only by the address of a byte of the object.
    Inside(u32),
    /// Only by the end of the array.
    End,
}

/// What a program does.
pub struct Plan {
    pub seed: u64,
    /// It ends when it has allocated so much in all.
    pub bytes: u64,
    /// It drops its roots when it has so much.
    pub live_bytes: u64,
    pub most_pages: u32,
    /// Roots may be addresses of bytes or ends, beside numbers that are no roots.
    pub ambiguous: bool,
    /// The longest array, in bytes.
    pub array_bytes: u32,
    /// What the collector may use in all. `None`: as much as it wants.
    pub fuel: Option<u64>,
}

/// A program that runs.
struct Program<'a> {
    plan: &'a Plan,
    random: Random,
    model: Model,
    roots: Vec<(u32, How)>,
    immortal: Vec<u32>,
}

/// What came out of a program.
pub struct Counts {
    pub collections: u32,
    pub allocated_bytes: u64,
    pub freed_objects: u64,
    pub pages: u32,
}

/// Runs a program on a collector.
pub fn run(module: &[u8], plan: &Plan) -> Result<Counts, Fault> {
    let machine = Machine::new(module, plan.most_pages, plan.fuel)?;
    let random = Random(plan.seed);
    let mut program = Program { plan, random, model: Model::new(machine), roots: Vec::new(), immortal: Vec::new() };
    for _ in 0..20 {
        program.add_type()?;
    }
    while program.model.allocated_bytes < plan.bytes {
        program.step()?;
    }
    program.offer();
    program.model.collect()?;
    // And nothing is left when there are no roots.
    program.roots.clear();
    program.clear_immortal();
    program.model.machine.set_candidates(Vec::new());
    program.model.collect()?;
    if !program.model.objects.is_empty() {
        return Err("objects without roots".to_owned());
    }
    Ok(Counts {
        collections: program.model.machine.collections(),
        allocated_bytes: program.model.allocated_bytes,
        freed_objects: program.model.freed_objects,
        pages: program.model.machine.pages(),
    })
}

impl Program<'_> {
    fn step(&mut self) -> Result<(), Fault> {
        match self.random.below(1000) {
            0..700 => self.allocate()?,
            700..850 => self.drop_root(),
            850..980 => self.link(),
            980..990 => self.change_root(),
            990..994 => self.add_immortal()?,
            994..996 if self.model.types.len() < 200 => self.add_type()?,
            996 if self.random.below(10) == 0 => self.model.leave_page(),
            997 if self.random.below(10) == 0 => {
                self.offer();
                self.model.collect()?;
            }
            _ => {}
        }
        if self.roots.len() > 300 {
            self.drop_root();
        }
        if self.model.kept_bytes > self.plan.live_bytes {
            self.model.kept_bytes = 0;
            self.clear_immortal();
            self.roots.clear();
        }
        Ok(())
    }

    fn add_type(&mut self) -> Result<(), Fault> {
        let kind = match self.random.below(4) {
            0 => Kind::Array { log2: self.random.below(5) },
            1 => Kind::References,
            _ => {
                let most = if self.random.below(10) == 0 { 3000 } else { 60 };
                let words = 1 + self.random.size(most);
                let share = self.random.below(5);
                let references = (1..words).filter(|_| self.random.below(4) < share).map(|word| 4 * word).collect();
                // A struct may end in smaller fields.
                Kind::Struct {
                    bytes: 4 * words - if words > 1 && share == 0 { self.random.below(4) } else { 0 },
                    references,
                }
            }
        };
        let depth = self.random.size(16).min(u32::try_from(self.model.types.len()).unwrap_or(0));
        let supertypes = self.model.types[..depth as usize].iter().map(|other| other.at).collect();
        self.model.add_type(kind, supertypes).map(|_| ())
    }

    /// A reference to something.
    fn reference(&mut self) -> u32 {
        match self.random.below(20) {
            0..4 => 0,
            4..7 => Word::Small(self.random.word()).to_bits(),
            7..9 => Word::Host(self.random.word()).to_bits(),
            9 if !self.immortal.is_empty() => self.immortal[self.random.next() as usize % self.immortal.len()],
            _ => self.somewhere().unwrap_or(0),
        }
    }

    /// An object that roots reach.
    fn somewhere(&mut self) -> Option<u32> {
        let mut at = self.roots.get(self.random.next() as usize % self.roots.len().max(1))?.0;
        for _ in 0..self.random.below(8) {
            let object = &self.model.objects[&at];
            let references = self.model.references(object);
            let Some(offset) = references.get(self.random.next() as usize % references.len().max(1)) else { break };
            match Word::from_bits(object.word(*offset)) {
                Some(Word::Object(target)) if self.model.objects.contains_key(&target) => at = target,
                _ => break,
            }
        }
        Some(at)
    }

    /// The bytes of a value but for the header: references, and other words that may look like some.
    fn body(&mut self, shape: usize) -> Vec<u8> {
        let kind = self.model.types[shape].kind.clone();
        let most = if self.random.below(50) == 0 { self.plan.array_bytes } else { 500 };
        let length = match kind {
            Kind::Struct { .. } => 0,
            Kind::Array { log2 } => self.random.size(most) >> log2,
            Kind::References => self.random.size(most) >> 2,
        };
        let bytes = self.model.types[shape].bytes(length);
        let mut body = Vec::with_capacity(bytes as usize + 4);
        while body.len() + 4 < bytes as usize {
            body.extend(self.random.word().to_le_bytes());
        }
        body.truncate(bytes as usize - 4);
        let mut set = |offset: u32, word: u32| body[offset as usize - 4..][..4].copy_from_slice(&word.to_le_bytes());
        match kind {
            Kind::Struct { references, .. } => {
                if bytes >= 8 {
                    set(4, self.somewhere().unwrap_or(0));
                }
                for offset in references {
                    set(offset, self.reference());
                }
            }
            Kind::Array { .. } => set(4, length),
            Kind::References => {
                set(4, length);
                for index in 0..length {
                    set(ELEMENTS + 4 * index, self.reference());
                }
            }
        }
        body
    }

    fn allocate(&mut self) -> Result<(), Fault> {
        let shape = self.random.next() as usize % self.model.types.len();
        let body = self.body(shape);
        self.offer();
        let slow = self.random.below(8) == 0;
        match self.model.allocate(shape, body, slow)? {
            Some(at) => {
                let how = self.how(at);
                self.roots.push((at, how));
                Ok(())
            }
            None => Err(format!(
                "no memory: {} bytes are live, {} pages in use of {}",
                self.model.kept_bytes,
                self.model.machine.word(wave_collector::PAGES_IN_USE),
                self.model.machine.pages()
            )),
        }
    }

    fn how(&mut self, at: u32) -> How {
        match self.random.below(3) {
            0 if self.plan.ambiguous => How::Inside(self.random.below(self.model.objects[&at].bytes())),
            1 if self.plan.ambiguous && self.model.end(at).is_some() => How::End,
            _ => How::Exact,
        }
    }

    /// Says what the roots are.
    fn offer(&mut self) {
        let mut words = Vec::new();
        for (at, how) in &self.roots {
            words.push(match how {
                How::Exact => *at,
                How::Inside(offset) => at + offset,
                How::End => self.model.end(*at).unwrap_or(*at),
            });
        }
        if self.plan.ambiguous {
            let bytes = self.model.machine.pages() << 16;
            words.extend([0, 1, 8, 65535, 0x10004, 0x54000, bytes - 1, bytes, u32::MAX, u32::MAX - 7]);
            words.extend((0..20).map(|_| self.random.below(bytes)));
            words.extend((0..5).map(|_| self.random.word()));
        }
        self.model.machine.set_candidates(words);
    }

    fn drop_root(&mut self) {
        if !self.roots.is_empty() {
            let index = self.random.next() as usize % self.roots.len();
            self.roots.swap_remove(index);
        }
    }

    fn change_root(&mut self) {
        if let Some(at) = self.somewhere() {
            let how = self.how(at);
            let index = self.random.next() as usize % self.roots.len();
            self.roots[index] = (at, how);
        }
    }

    /// Changes a reference of an object that is reachable.
    fn link(&mut self) {
        let from = match self.random.below(20) {
            0 if !self.immortal.is_empty() => Some(self.immortal[self.random.next() as usize % self.immortal.len()]),
            _ => self.somewhere(),
        };
        let Some(at) = from else { return };
        let object = self.model.objects.get(&at).unwrap_or_else(|| &self.model.immortal[&at]);
        let references = self.model.references(object);
        if !references.is_empty() {
            let offset = references[self.random.next() as usize % references.len()];
            let to = self.reference();
            self.model.set(at, offset, to);
        }
    }

    fn add_immortal(&mut self) -> Result<(), Fault> {
        if self.immortal.len() < 200 {
            let shape = self.random.next() as usize % self.model.types.len();
            let body = self.body(shape);
            if body.len() < 10_000 {
                self.immortal.push(self.model.add_immortal(shape, body)?);
            }
        }
        Ok(())
    }

    fn clear_immortal(&mut self) {
        for at in self.immortal.clone() {
            for offset in self.model.references(&self.model.immortal[&at]) {
                self.model.set(at, offset, 0);
            }
        }
    }
}

fn passes(plan: &Plan) -> Counts {
    let counts = run(MODULE, plan).unwrap_or_else(|fault| panic!("seed {}: {fault}", plan.seed));
    println!(
        "seed {}: {} MB, {} objects freed, {} collections, {} pages",
        plan.seed,
        counts.allocated_bytes / 1_000_000,
        counts.freed_objects,
        counts.collections,
        counts.pages
    );
    counts
}

#[test]
fn a_gigabyte_fits_into_64_mebibytes() {
    let plan = Plan {
        seed: 1,
        bytes: 1_000_000_000,
        live_bytes: 12 << 20,
        most_pages: 1024,
        ambiguous: false,
        array_bytes: 1 << 20,
        fuel: None,
    };
    let counts = passes(&plan);
    assert!(counts.collections > 50, "{} collections", counts.collections);
    assert!(counts.freed_objects > 100_000, "{} objects", counts.freed_objects);
}

#[test]
fn ambiguous_roots_keep_what_they_may_refer_to() {
    for seed in 2..8 {
        let plan = Plan {
            seed,
            bytes: 60_000_000,
            live_bytes: 3 << 20,
            most_pages: 1024,
            ambiguous: true,
            array_bytes: 1 << 17,
            fuel: None,
        };
        let counts = passes(&plan);
        assert!(counts.collections > 10, "seed {seed}: {} collections", counts.collections);
    }
}
