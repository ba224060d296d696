//! Mistakes that a compiler could make, for tests of what stops them: a pass over the code that the real one has emitted.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};
use wave_contract::context::FIRST_MEMORY;
use wave_contract::image::CodeImage;

use crate::{encode, nops};

/// The bytes of this constant, and of the store that follows, are the room for [`Mistake::SystemCall`].
pub const ROOM: u64 = 0x1122_3344_5566_7788;

/// How far before linear memory [`Mistake::FarDisplacement`] leads.
const BEFORE_BYTES: u32 = 64;

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// An index is used with whatever is above its 32 bits.
    DroppedExtension,
    /// Linear memory is taken to be where the context is.
    WrongBase,
    /// An indirect call does not compare its index with the length of the table.
    NoBound,
    /// An indirect call does not compare the signature.
    NoSignature,
    /// Large frames are not touched.
    NoProbe,
    /// A register of the caller is not restored.
    ClobberedRegister,
    /// A jump table has an entry less than its bound says.
    LongJumpTable,
    /// A displacement leads out of linear memory, to what lies before it.
    FarDisplacement,
    /// The stack limit is written.
    WrittenContext,
    /// The function makes a system call of its arguments.
    SystemCall,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::DroppedExtension,
        Self::WrongBase,
        Self::NoBound,
        Self::NoSignature,
        Self::NoProbe,
        Self::ClobberedRegister,
        Self::LongJumpTable,
        Self::FarDisplacement,
        Self::WrittenContext,
        Self::SystemCall,
    ];

    /// Makes the mistake in a function, without moving any other instruction. `None` if the function has no code for which this
    /// mistake is possible; the tests have a guest for each that has.
    pub fn make(self, image: &mut CodeImage, function: usize) -> Option<()> {
        let mut code = Function::of(image, function);
        match self {
            Self::DroppedExtension => code.drop_extension(),
            Self::WrongBase => match code.fixed_context() {
                Some(context) => code.replace_memory_base(|_| context),
                None => {
                    let load =
                        code.find(|one| one.code() == Code::Mov_r64_rm64 && displacement(one) == FIRST_MEMORY)?;
                    let mut base = code.instructions[load];
                    base.set_op1_kind(OpKind::Register);
                    base.set_op1_register(Register::RDI);
                    code.overwrite(load, 1, &encode(&base)?)
                }
            },
            Self::NoBound => {
                // The second keeps a mispredicted call inside the table.
                let [jump, choice] =
                    [Code::Jae_rel32_64, Code::Cmovae_r32_rm32].map(|wanted| code.find(|one| one.code() == wanted));
                code.overwrite(jump?, 1, &[])?;
                code.overwrite(choice?, 1, &[])
            }
            Self::NoSignature => {
                let compare = code.find(|one| one.code() == Code::Cmp_rm32_imm8)?;
                code.is(compare + 1, Code::Jne_rel32_64)?;
                code.overwrite(compare + 1, 1, &[])
            }
            Self::NoProbe => {
                let first = code.find(|one| moves_stack(one, Code::Sub_rm64_imm32))?;
                let last = code.find(|one| moves_stack(one, Code::Add_rm64_imm32))?;
                code.overwrite(first, (last + 1).checked_sub(first)?, &[])
            }
            Self::ClobberedRegister => {
                let restore =
                    code.find(|one| one.code() == Code::Mov_r64_rm64 && one.memory_base() == Register::RSP)?;
                code.overwrite(restore, 1, &[])
            }
            Self::LongJumpTable => {
                let choice = code.find(|one| one.code() == Code::Cmovb_r32_rm32)?;
                let register = code.instructions[choice].op0_register();
                let last = code.find(|one| one.code() == Code::Mov_r32_imm32 && one.op0_register() == register)?;
                let mut longer = code.instructions[last];
                longer.set_immediate32(longer.immediate32() + 1);
                code.overwrite(last, 1, &encode(&longer)?)
            }
            Self::FarDisplacement => match code.fixed_context() {
                Some(_) => code.replace_memory_base(|base| base - u64::from(BEFORE_BYTES)),
                None => {
                    let store = code.find(|one| one.code() == Code::Mov_rm32_imm32)?;
                    let mut before = code.instructions[store];
                    before.set_memory_displacement64(u64::from(BEFORE_BYTES).wrapping_neg());
                    code.overwrite(store, 1, &encode(&before)?)
                }
            },
            Self::WrittenContext => {
                let compare = code.find(|one| one.code() == Code::Cmp_r64_rm64)?;
                code.is(compare + 1, Code::Jb_rel32_64)?;
                let stack = code.instructions[compare].op0_register();
                let read = code.find(|one| one.op0_register() == stack && one.op1_register() == Register::RSP)?;
                let zero = Instruction::with2(Code::Xor_r32_rm32, half(stack)?, half(stack)?).ok()?;
                code.overwrite(read, 1, &encode(&zero)?)?;
                let mut store = code.instructions[compare];
                store.set_code(Code::Mov_rm64_r64);
                store.set_op0_kind(OpKind::Memory);
                store.set_op1_kind(OpKind::Register);
                store.set_op1_register(stack);
                code.overwrite(compare, 1, &encode(&store)?)?;
                code.overwrite(compare + 1, 1, &[])
            }
            Self::SystemCall => {
                // mov rax, rdi; mov rdi, rsi; mov rsi, rdx; mov rdx, rcx; syscall
                const CALL: [u8; 14] =
                    [0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x0f, 0x05];
                let first = code.find(|one| one.code() == Code::Mov_r64_imm64 && one.immediate64() == ROOM)?;
                // The address, and the store.
                code.overwrite(first, 3, &CALL)
            }
        }
    }
}

/// A function of an image, while it is changed.
struct Function<'a> {
    image: &'a mut CodeImage,
    /// As they were; behind the last there may be tables, which look like instructions here.
    instructions: Vec<Instruction>,
}

impl<'a> Function<'a> {
    fn of(image: &'a mut CodeImage, function: usize) -> Self {
        let range = image.functions[function];
        let code = &image.text[range.start as usize..][..range.len as usize];
        let instructions = Decoder::with_ip(64, code, range.start.into(), DecoderOptions::NONE).iter().collect();
        Self { image, instructions }
    }

    fn find(&self, is_wanted: impl Fn(&Instruction) -> bool) -> Option<usize> {
        self.instructions.iter().position(is_wanted)
    }

    fn is(&self, at: usize, code: Code) -> Option<()> {
        (self.instructions.get(at)?.code() == code).then_some(())
    }

    fn fixed_context(&self) -> Option<u64> {
        Some(self.image.addressing.fixed()?.context)
    }

    /// Replaces so many instructions by these bytes, and by nothing after them.
    fn overwrite(&mut self, first: usize, count: usize, bytes: &[u8]) -> Option<()> {
        let replaced = self.instructions.get(first..first + count)?;
        let len = replaced.iter().map(Instruction::len).sum::<usize>();
        let start = usize::try_from(replaced.first()?.ip()).ok()?;
        let rest = nops(len.checked_sub(bytes.len())?);
        self.image.text[start..start + len].copy_from_slice(&[bytes, &rest].concat());
        Some(())
    }

    /// `mov a, b; … [a]`, of 32 bits: without the copy, and with all bits of `b`.
    fn drop_extension(&mut self) -> Option<()> {
        let is_copy = |one: &Instruction| one.code() == Code::Mov_r32_rm32 && one.op1_kind() == OpKind::Register;
        let copy = self.find(is_copy)?;
        let from = self.instructions[copy].op1_register().full_register();
        let mut access = *self.instructions.get(copy + 1)?;
        access.set_memory_base(from);
        self.overwrite(copy, 1, &[])?;
        self.overwrite(copy + 1, 1, &encode(&access)?)
    }

    /// Replaces the address of linear memory, which is a displacement if it has 32 bits, and otherwise a constant.
    fn replace_memory_base(&mut self, replace: impl Fn(u64) -> u64) -> Option<()> {
        let base = self.image.addressing.fixed()?.memories.first()?.base;
        let is_base = |one: &Instruction| {
            one.memory_displacement64() == base || one.code() == Code::Mov_r64_imm64 && one.immediate64() == base
        };
        let at = self.find(is_base)?;
        let mut changed = self.instructions[at];
        match changed.code() {
            Code::Mov_r64_imm64 => changed.set_immediate64(replace(base)),
            _ => changed.set_memory_displacement64(replace(base)),
        }
        self.overwrite(at, 1, &encode(&changed)?)
    }
}

/// The displacement of what lies in the context, whose address is in RDI.
fn displacement(instruction: &Instruction) -> u32 {
    match instruction.memory_base() {
        Register::RDI => instruction.memory_displacement32(),
        _ => 0,
    }
}

fn moves_stack(instruction: &Instruction, code: Code) -> bool {
    instruction.code() == code && instruction.op0_register() == Register::RSP
}

/// The lower 32 bits of a register.
fn half(register: Register) -> Option<Register> {
    Register::try_from(Register::EAX as usize + register.number()).ok()
}
