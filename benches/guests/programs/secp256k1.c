// Makes signatures over the curve secp256k1, and verifies them. The package has its own names for the functions.
#include "bench.h"
#include <secp256k1.h>
#include <secp256k1_preallocated.h>

void rustsecp256k1_v0_14_default_illegal_callback_fn(const char *text, void *data) { (void)data, require(0, text); }
void rustsecp256k1_v0_14_default_error_callback_fn(const char *text, void *data) { (void)data, require(0, text); }

int main(void) {
  begin();
  size_t size = rustsecp256k1_v0_14_context_preallocated_size(SECP256K1_CONTEXT_NONE);
  rustsecp256k1_v0_14_context *context = rustsecp256k1_v0_14_context_preallocated_create(malloc(size), SECP256K1_CONTEXT_NONE);
  unsigned char key[32] = {1}, message[32];
  for (int time = 0; time < 800; time++) {
    for (int at = 0; at < 32; at++) message[at] = next_random();
    rustsecp256k1_v0_14_ecdsa_signature signature;
    rustsecp256k1_v0_14_pubkey point;
    unsigned char bytes[64];
    require(rustsecp256k1_v0_14_ec_pubkey_create(context, &point, key), "the key is none");
    require(rustsecp256k1_v0_14_ecdsa_sign(context, &signature, message, key, NULL, NULL), "signing failed");
    require(rustsecp256k1_v0_14_ecdsa_verify(context, &signature, message, &point), "a good signature is refused");
    rustsecp256k1_v0_14_ecdsa_signature_serialize_compact(context, bytes, &signature);
    check(bytes, sizeof bytes);
    message[0] ^= 1;
    require(!rustsecp256k1_v0_14_ecdsa_verify(context, &signature, message, &point), "a wrong signature is accepted");
    memcpy(key, message, 31);
  }
  end();
}
