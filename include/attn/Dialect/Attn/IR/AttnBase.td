//===- AttnBase.td - the attn dialect and its type ---------*- tablegen -*-===//
//
// Part of attn-mlir, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef ATTN_DIALECT_ATTN_IR_ATTNBASE_TD
#define ATTN_DIALECT_ATTN_IR_ATTNBASE_TD

include "attn/Dialect/Attn/IR/RequiredOperands.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let summary = "An algebra of virtual score matrices, and the streams they become";
  let description = [{
    The surface of the dialect is an algebra over one kind of value, the virtual
    matrix of scores between queries and keys (`!attn.scores`). Nothing stores
    it: operations on it build an expression, and only reductions, aggregates
    and `attn.materialize` leave the algebra for tensors.

    The plan level (`attn.stream`, `attn.sweep`, `attn.carry`, ...) is what the
    expressions become: one stream is one kernel, a scalar program per row (or
    column) that sweeps over the other axis.
  }];
  let cppNamespace = "::mlir::attn";
  let hasConstantMaterializer = 1;
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::tensor::TensorDialect", "::mlir::vector::VectorDialect"
  ];
}

class Attn_Type<string name, string typeMnemonic, list<Trait> traits = []>
    : TypeDef<Attn_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

def Attn_ScoresType : Attn_Type<"Scores", "scores"> {
  let summary = "virtual score matrix [batch, heads, queries, keys]";
  let description = [{
    For every (b, h, i, j) a pair of a value of the element type (the
    accumulation type: f32, f64 for f64 inputs, i32 for i8 inputs) and a
    presence bit. Absent entries take no part in reductions and add nothing to
    aggregates.

    Integer scores are exact. They are masked, filled, put side by side and
    counted as they are; whatever computes with them takes floats, which
    `attn.map` makes of them together with the scales of their codes.

    It is not a shaped type, on purpose: bufferization and tensor operations
    must not see it. Batch and head extents of 1 broadcast.

    ```mlir
    !attn.scores<2x8x?x?xf32>
    ```
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t", "batch, heads, queries, keys">:$shape,
    "::mlir::Type":$elementType);
  let builders = [
    TypeBuilderWithInferredContext<(ins "::llvm::ArrayRef<int64_t>":$shape,
                                        "::mlir::Type":$elementType), [{
      return $_get(elementType.getContext(), shape, elementType);
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    enum Dim : unsigned { Batch = 0, Heads = 1, Queries = 2, Keys = 3 };
    int64_t getDim(unsigned dim) const { return getShape()[dim]; }
    /// The same shape with queries and keys exchanged.
    ScoresType transposed() const {
      auto s = getShape();
      return get(getContext(), {s[0], s[1], s[3], s[2]}, getElementType());
    }
  }];
}

def Attn_StateType : Attn_Type<"State", "state"> {
  let summary = "what a row program has accumulated over some of its keys";
  let description = [{
    The unnormalised accumulators of one row program (`attn.partial`) over a
    set of keys, before anything is divided: states of the same program over
    disjoint sets merge (`attn.merge`), and `attn.finish` gives the results,
    whose types are the parameters.

    ```mlir
    !attn.state<tensor<1x8x?x64xf32>, tensor<1x8x?xf32>>
    ```
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::Type", "types of the results">:$results);
  let assemblyFormat = "`<` $results `>`";
}

def Attn_TallyType : Attn_Type<"Tally", "tally"> {
  let summary = "accumulators that live in an output of their stream";
  let description = [{
    The result of an `attn.bins` with more bins than a row of registers holds,
    or with as many as a run-time value says: only `attn.store_row` takes it,
    and names by that the output [B, H, P, n] in which the bins are counted.

    ```mlir
    !attn.tally<f32>
    ```
  }];
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}

#endif // ATTN_DIALECT_ATTN_IR_ATTNBASE_TD
