// RUN: attn-opt %s -split-input-file -verify-diagnostics

// Distances are added to positions, which must not wrap.

// expected-error @below {{window: left and right are at most 2^62, got 0 and 9223372036854775807}}
func.func private @endless_window() attributes {mask = #attn.window<left = 0, right = 9223372036854775807>}

// -----

// expected-error @below {{dilated: window * dilation is at most 2^62, got 4294967296 * 4294967296}}
func.func private @far_dilation() attributes {mask = #attn.dilated<window = 4294967296, dilation = 4294967296>}
