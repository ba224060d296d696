//! The instructions that code may consist of (T66, T69), by what they do to general-purpose registers, memory and control.
//!
//! The list names encodings, not mnemonics, so that one the decoder learns later is refused until somebody adds it here.

use iced_x86::Code::{self, *};

/// What an instruction does. The first operand is the destination; `Vector` registers hold nothing that is tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Copies the second operand.
    Move,
    /// Copies a narrower second operand, the rest zero.
    MoveZero,
    /// Copies a narrower second operand, the rest its sign.
    MoveSign,
    /// The address of the second operand.
    Address,
    Add,
    Subtract,
    And,
    ShiftLeft,
    ShiftRight,
    /// Changes the first operand in a way that is not followed; sets flags.
    Compute,
    /// Writes the first operand and reads the others; leaves or sets flags.
    Produce,
    /// Writes the first two operands, reads the third and RDX.
    Multiply2,
    /// RDX:RAX becomes a product.
    Multiply,
    /// RDX:RAX becomes quotient and remainder; faults.
    Divide,
    /// RDX becomes the sign of RAX.
    SignToRdx,
    /// Compares two operands.
    Compare,
    /// As `Compare`, by their common bits.
    Test,
    /// Copies the second operand if a condition holds.
    MoveIf,
    /// The first operand becomes 0 or 1.
    SetIf,
    /// Compares vector operands.
    VectorCompare,
    /// Reads and writes operands; those that are vectors are not followed.
    Vector,
    Push,
    Pop,
    Call,
    CallIndirect,
    Jump,
    JumpIndirect,
    JumpIf,
    Return,
    Nothing,
    /// A fault on purpose.
    Undefined,
}

/// What an encoding does. `None`: it has no place in code.
#[expect(clippy::too_many_lines, reason = "one long list, to be read as such")]
pub fn kind(code: Code) -> Option<Kind> {
    Some(match code {
        Mov_rm8_r8 | Mov_rm16_r16 | Mov_rm32_r32 | Mov_rm64_r64 | Mov_r8_rm8 | Mov_r16_rm16 | Mov_r32_rm32 | Mov_r64_rm64
        | Mov_r8_imm8 | Mov_r16_imm16 | Mov_r32_imm32 | Mov_r64_imm64 | Mov_rm8_imm8 | Mov_rm16_imm16 | Mov_rm32_imm32
        | Mov_rm64_imm32 => Kind::Move,
        Movzx_r32_rm8 | Movzx_r64_rm8 | Movzx_r32_rm16 | Movzx_r64_rm16 => Kind::MoveZero,
        Movsx_r32_rm8 | Movsx_r64_rm8 | Movsx_r32_rm16 | Movsx_r64_rm16 | Movsxd_r64_rm32 => Kind::MoveSign,
        Lea_r32_m | Lea_r64_m => Kind::Address,
        Add_rm8_r8 | Add_rm16_r16 | Add_rm32_r32 | Add_rm64_r64 | Add_r8_rm8 | Add_r16_rm16 | Add_r32_rm32 | Add_r64_rm64
        | Add_AL_imm8 | Add_AX_imm16 | Add_EAX_imm32 | Add_RAX_imm32 | Add_rm8_imm8 | Add_rm16_imm16 | Add_rm32_imm32
        | Add_rm64_imm32 | Add_rm16_imm8 | Add_rm32_imm8 | Add_rm64_imm8 => Kind::Add,
        Sub_rm8_r8 | Sub_rm16_r16 | Sub_rm32_r32 | Sub_rm64_r64 | Sub_r8_rm8 | Sub_r16_rm16 | Sub_r32_rm32 | Sub_r64_rm64
        | Sub_AL_imm8 | Sub_AX_imm16 | Sub_EAX_imm32 | Sub_RAX_imm32 | Sub_rm8_imm8 | Sub_rm16_imm16 | Sub_rm32_imm32
        | Sub_rm64_imm32 | Sub_rm16_imm8 | Sub_rm32_imm8 | Sub_rm64_imm8 => Kind::Subtract,
        And_rm8_r8 | And_rm16_r16 | And_rm32_r32 | And_rm64_r64 | And_r8_rm8 | And_r16_rm16 | And_r32_rm32 | And_r64_rm64
        | And_AL_imm8 | And_AX_imm16 | And_EAX_imm32 | And_RAX_imm32 | And_rm8_imm8 | And_rm16_imm16 | And_rm32_imm32
        | And_rm64_imm32 | And_rm16_imm8 | And_rm32_imm8 | And_rm64_imm8 => Kind::And,
        Shl_rm32_imm8 | Shl_rm64_imm8 | Shl_rm32_1 | Shl_rm64_1 => Kind::ShiftLeft,
        Shr_rm32_imm8 | Shr_rm64_imm8 | Shr_rm32_1 | Shr_rm64_1 => Kind::ShiftRight,
        Or_rm8_r8 | Or_rm16_r16 | Or_rm32_r32 | Or_rm64_r64 | Or_r8_rm8 | Or_r16_rm16 | Or_r32_rm32 | Or_r64_rm64
        | Or_AL_imm8 | Or_AX_imm16 | Or_EAX_imm32 | Or_RAX_imm32 | Or_rm8_imm8 | Or_rm16_imm16 | Or_rm32_imm32
        | Or_rm64_imm32 | Or_rm16_imm8 | Or_rm32_imm8 | Or_rm64_imm8 | Xor_rm8_r8 | Xor_rm16_r16 | Xor_rm32_r32
        | Xor_rm64_r64 | Xor_r8_rm8 | Xor_r16_rm16 | Xor_r32_rm32 | Xor_r64_rm64 | Xor_AL_imm8 | Xor_AX_imm16
        | Xor_EAX_imm32 | Xor_RAX_imm32 | Xor_rm8_imm8 | Xor_rm16_imm16 | Xor_rm32_imm32 | Xor_rm64_imm32 | Xor_rm16_imm8
        | Xor_rm32_imm8 | Xor_rm64_imm8 | Adc_rm32_r32 | Adc_rm64_r64 | Adc_r32_rm32 | Adc_r64_rm64 | Adc_rm32_imm8
        | Adc_rm64_imm8 | Adc_rm32_imm32 | Adc_rm64_imm32 | Sbb_rm32_r32 | Sbb_rm64_r64 | Sbb_r32_rm32 | Sbb_r64_rm64
        | Sbb_rm32_imm8 | Sbb_rm64_imm8 | Sbb_rm32_imm32 | Sbb_rm64_imm32 | Not_rm8 | Not_rm16 | Not_rm32 | Not_rm64
        | Neg_rm8 | Neg_rm16 | Neg_rm32 | Neg_rm64 | Inc_rm32 | Inc_rm64 | Dec_rm32 | Dec_rm64 | Imul_r16_rm16
        | Imul_r32_rm32 | Imul_r64_rm64 | Shl_rm8_CL | Shl_rm16_CL | Shl_rm32_CL | Shl_rm64_CL | Shl_rm8_imm8
        | Shl_rm16_imm8 | Shl_rm8_1 | Shl_rm16_1 | Shr_rm8_CL | Shr_rm16_CL | Shr_rm32_CL | Shr_rm64_CL | Shr_rm8_imm8
        | Shr_rm16_imm8 | Shr_rm8_1 | Shr_rm16_1 | Sar_rm8_CL | Sar_rm16_CL | Sar_rm32_CL | Sar_rm64_CL | Sar_rm8_imm8
        | Sar_rm16_imm8 | Sar_rm32_imm8 | Sar_rm64_imm8 | Sar_rm8_1 | Sar_rm16_1 | Sar_rm32_1 | Sar_rm64_1 | Rol_rm8_CL
        | Rol_rm16_CL | Rol_rm32_CL | Rol_rm64_CL | Rol_rm8_imm8 | Rol_rm16_imm8 | Rol_rm32_imm8 | Rol_rm64_imm8
        | Rol_rm32_1 | Rol_rm64_1 | Ror_rm8_CL | Ror_rm16_CL | Ror_rm32_CL | Ror_rm64_CL | Ror_rm8_imm8 | Ror_rm16_imm8
        | Ror_rm32_imm8 | Ror_rm64_imm8 | Ror_rm32_1 | Ror_rm64_1 | Shld_rm32_r32_imm8 | Shld_rm64_r64_imm8 | Bswap_r32
        | Bswap_r64 => Kind::Compute,
        Imul_r16_rm16_imm16 | Imul_r32_rm32_imm32 | Imul_r64_rm64_imm32 | Imul_r16_rm16_imm8 | Imul_r32_rm32_imm8
        | Imul_r64_rm64_imm8 | Bsf_r32_rm32 | Bsf_r64_rm64 | Bsr_r32_rm32 | Bsr_r64_rm64 | Lzcnt_r32_rm32 | Lzcnt_r64_rm64
        | Tzcnt_r32_rm32 | Tzcnt_r64_rm64 | Popcnt_r32_rm32 | Popcnt_r64_rm64 | VEX_Andn_r32_r32_rm32 | VEX_Andn_r64_r64_rm64
        | VEX_Blsi_r32_rm32 | VEX_Blsi_r64_rm64 | VEX_Blsr_r32_rm32 | VEX_Blsr_r64_rm64 | VEX_Blsmsk_r32_rm32
        | VEX_Blsmsk_r64_rm64 | VEX_Bzhi_r32_rm32_r32 | VEX_Bzhi_r64_rm64_r64 | VEX_Rorx_r32_rm32_imm8
        | VEX_Rorx_r64_rm64_imm8 | VEX_Shlx_r32_rm32_r32 | VEX_Shlx_r64_rm64_r64 | VEX_Shrx_r32_rm32_r32
        | VEX_Shrx_r64_rm64_r64 | VEX_Sarx_r32_rm32_r32 | VEX_Sarx_r64_rm64_r64 => Kind::Produce,
        VEX_Mulx_r32_r32_rm32 | VEX_Mulx_r64_r64_rm64 => Kind::Multiply2,
        Mul_rm32 | Mul_rm64 | Imul_rm32 | Imul_rm64 => Kind::Multiply,
        Div_rm32 | Div_rm64 | Idiv_rm32 | Idiv_rm64 => Kind::Divide,
        Cdq | Cqo => Kind::SignToRdx,
        Cmp_rm8_r8 | Cmp_rm16_r16 | Cmp_rm32_r32 | Cmp_rm64_r64 | Cmp_r8_rm8 | Cmp_r16_rm16 | Cmp_r32_rm32 | Cmp_r64_rm64
        | Cmp_AL_imm8 | Cmp_AX_imm16 | Cmp_EAX_imm32 | Cmp_RAX_imm32 | Cmp_rm8_imm8 | Cmp_rm16_imm16 | Cmp_rm32_imm32
        | Cmp_rm64_imm32 | Cmp_rm16_imm8 | Cmp_rm32_imm8 | Cmp_rm64_imm8 => Kind::Compare,
        Test_rm8_r8 | Test_rm16_r16 | Test_rm32_r32 | Test_rm64_r64 | Test_AL_imm8 | Test_AX_imm16 | Test_EAX_imm32
        | Test_RAX_imm32 | Test_rm8_imm8 | Test_rm16_imm16 | Test_rm32_imm32 | Test_rm64_imm32 | Bt_rm32_imm8 | Bt_rm64_imm8
         => Kind::Test,
        Cmova_r32_rm32 | Cmova_r64_rm64 | Cmovae_r32_rm32 | Cmovae_r64_rm64 | Cmovb_r32_rm32 | Cmovb_r64_rm64
        | Cmovbe_r32_rm32 | Cmovbe_r64_rm64 | Cmove_r32_rm32 | Cmove_r64_rm64 | Cmovne_r32_rm32 | Cmovne_r64_rm64
        | Cmovg_r32_rm32 | Cmovg_r64_rm64 | Cmovge_r32_rm32 | Cmovge_r64_rm64 | Cmovl_r32_rm32 | Cmovl_r64_rm64
        | Cmovle_r32_rm32 | Cmovle_r64_rm64 | Cmovo_r32_rm32 | Cmovo_r64_rm64 | Cmovno_r32_rm32 | Cmovno_r64_rm64
        | Cmovs_r32_rm32 | Cmovs_r64_rm64 | Cmovns_r32_rm32 | Cmovns_r64_rm64 | Cmovp_r32_rm32 | Cmovp_r64_rm64
        | Cmovnp_r32_rm32 | Cmovnp_r64_rm64 => Kind::MoveIf,
        Seta_rm8 | Setae_rm8 | Setb_rm8 | Setbe_rm8 | Sete_rm8 | Setne_rm8 | Setg_rm8 | Setge_rm8 | Setl_rm8 | Setle_rm8
        | Seto_rm8 | Setno_rm8 | Sets_rm8 | Setns_rm8 | Setp_rm8 | Setnp_rm8 => Kind::SetIf,
        Push_r64 => Kind::Push,
        Pop_r64 => Kind::Pop,
        Call_rel32_64 => Kind::Call,
        Call_rm64 => Kind::CallIndirect,
        Jmp_rel8_64 | Jmp_rel32_64 => Kind::Jump,
        Jmp_rm64 => Kind::JumpIndirect,
        Ja_rel8_64 | Jae_rel8_64 | Jb_rel8_64 | Jbe_rel8_64 | Je_rel8_64 | Jne_rel8_64 | Jg_rel8_64 | Jge_rel8_64 | Jl_rel8_64
        | Jle_rel8_64 | Jo_rel8_64 | Jno_rel8_64 | Js_rel8_64 | Jns_rel8_64 | Jp_rel8_64 | Jnp_rel8_64 | Ja_rel32_64
        | Jae_rel32_64 | Jb_rel32_64 | Jbe_rel32_64 | Je_rel32_64 | Jne_rel32_64 | Jg_rel32_64 | Jge_rel32_64 | Jl_rel32_64
        | Jle_rel32_64 | Jo_rel32_64 | Jno_rel32_64 | Js_rel32_64 | Jns_rel32_64 | Jp_rel32_64 | Jnp_rel32_64 => Kind::JumpIf,
        Retnq | Retnq_imm16 => Kind::Return,
        Nopw | Nopd | Nop_rm16 | Nop_rm32 => Kind::Nothing,
        Ud2 => Kind::Undefined,
        _ => return vector(code),
    })
}

/// Vector instructions.
fn vector(code: Code) -> Option<Kind> {
    Some(match code {
        Ucomiss_xmm_xmmm32 | Ucomisd_xmm_xmmm64 | VEX_Vucomiss_xmm_xmmm32 | VEX_Vucomisd_xmm_xmmm64 | Ptest_xmm_xmmm128
        | VEX_Vptest_xmm_xmmm128 => Kind::VectorCompare,
        _ => return None,
    })
}

/// Whether a conditional jump has a displacement of one byte.
pub const fn is_short(code: Code) -> bool {
    matches!(
        code,
        Ja_rel8_64
            | Jae_rel8_64
            | Jb_rel8_64
            | Jbe_rel8_64
            | Je_rel8_64
            | Jne_rel8_64
            | Jg_rel8_64
            | Jge_rel8_64
            | Jl_rel8_64
            | Jle_rel8_64
            | Jo_rel8_64
            | Jno_rel8_64
            | Js_rel8_64
            | Jns_rel8_64
            | Jp_rel8_64
            | Jnp_rel8_64
    )
}
