"""Explanations for `reticent.he`."""

EXPLANATIONS: dict[str, str] = {
    "division-by-zero": (
        "An encrypted vector was divided by a number or array that holds a zero. Division multiplies by the inverse, "
        "which does not exist. Replace the zeros, or leave those places out."
    ),
    "foreign-handle": (
        "An object of one backend, or of another key pair, was handed to a backend that did not make it. This is an "
        "error in the calling code: use handles with the backend that returned them."
    ),
    "foreign-parameters": (
        "An encrypted object or a set of keys was made for other parameters, or by another backend, than those in use "
        "here. It was refused before the lattice library read it, since numbers from another ring are meaningless. "
        "Take the parameters of both sides from one context or one program."
    ),
    "he-library-missing": (
        "Homomorphic encryption uses the lattice library SEAL through the package tenseal, which is an optional part "
        "and is not installed. Install it with pip install 'reticent[he]'. The simulator works without it, and "
        "protects nothing."
    ),
    "he-over-bound": (
        "A value to encrypt is larger than the declared bound, or the declared bound larger than that of the context. "
        "The ranges and errors that are announced rest on the bound, so nothing was encrypted. Clip or scale the "
        "values, or make the context with a larger bound."
    ),
    "insecure-parameters": (
        "The modulus, the special prime included, has more bits than 128-bit security allows at this ring degree: 27 "
        "at 1024, 54 at 2048, 109 at 4096, 218 at 8192, 438 at 16384, 881 at 32768. Such ciphertexts could be broken. "
        "Use a larger ring, or ask for less depth, range or precision."
    ),
    "invalid-parameters": (
        "The numbers given make no encryption scheme: an unknown ring degree, primes that are too small or too few, a "
        "special prime that is not the largest, or a precision that is not between 0 and the bound. Derive the "
        "parameters from depth, bound and precision."
    ),
    "length-mismatch": (
        "Encrypted vectors of different lengths were combined. Where one ends is known only from its length, so that "
        "padding would be read as data. Use equal lengths, or length 1 for one number to all."
    ),
    "level-exhausted": (
        "Every product uses up one level, and this ciphertext has none left: a further product would give noise. It "
        "was refused before it was computed. Make the context with a larger depth, or save products: whole numbers as "
        "factors and sums cost no level."
    ),
    "malformed-lattice-object": (
        "The bytes of a ciphertext or key, although authentic, are not what the lattice library needs: wrong size, "
        "level, scale or kind. Nothing was computed with them. Check that both sides run the same version; otherwise "
        "treat the sender as hostile."
    ),
    "mixed-contexts": (
        "Vectors or keys of two different key pairs were used together. Their result would decrypt to noise under "
        "either key. Encrypt everything that is to be combined with the same context."
    ),
    "no-parameters": (
        "No ring with 128 bits of security holds the depth, bound and precision together. Scale the numbers down so "
        "that the bound is smaller, ask for less precision, or reorganise the computation so that fewer products "
        "follow one another."
    ),
    "no-secret-key": (
        "The evaluator's side of a context was asked to encrypt or decrypt. It holds no secret key, which is what "
        "protects the data from it. Send the ciphertext to the client, and decrypt there."
    ),
    "operand-not-finite": (
        "A number to encrypt, or to combine with encrypted numbers, is infinite or missing. It would spoil every slot "
        "of the ciphertext. Replace missing values first."
    ),
    "operand-shape": (
        "The shape of an operand does not fit: encrypted vectors have one dimension, and a matrix behind @ has as many "
        "rows as the vector has numbers. Reshape it."
    ),
    "precision-exceeded": (
        "The announced error of a result is more than half of the precision that the context promised, so decrypting "
        "it would break the promise. Accept a coarser precision for this result with decrypt(precision=...), or make "
        "the context with a larger bound or a finer precision."
    ),
    "range-exceeded": (
        "A result could be larger than the ciphertext can hold, by the declared bounds of what it was computed from. "
        "Larger numbers wrap around and spoil every slot without any sign, so it was refused before it was computed. "
        "Declare smaller bounds where they hold, scale the numbers down, or make the context with a larger bound."
    ),
    "rescale-at-level-0": (
        "A ciphertext without levels was to be rescaled. This is an error in the calling code, which must look at the "
        "level before it multiplies."
    ),
    "rotation-missing": (
        "The evaluator needs to rotate the slots by a step for which the client made no key. Keys cannot be made "
        "without the secret key. Let the client generate evaluation keys with that rotation, and send them again."
    ),
    "scale-mismatch": (
        "Ciphertexts of different levels or scales met in a sum or product of the backend, which would give a result "
        "that is off by a factor. This is an error in the calling code: align them first."
    ),
    "secret-key-on-wire": (
        "Client keys, which decrypt everything, were about to be encoded, copied or sent. They never travel. Send the "
        "evaluation keys; to keep the client keys, write them to a file of their owner with ClientKeys.save."
    ),
    "unauthentic-ciphertext": (
        "An encrypted object was altered on the way, comes from somebody else, from another session or out of order, "
        "or is not what is expected here. The lattice library did not read it: there a flipped bit goes unnoticed. "
        "Send it again; if that fails again, treat the carrier as hostile."
    ),
    "unknown-backend": ("There are two backends: 'seal', which encrypts, and 'simulator', which does not. Choose one."),
    "unsupported-operand": (
        "Encrypted vectors combine with numbers, one-dimensional arrays and other encrypted vectors, and have whole "
        "powers of at least 1. Convert the operand first."
    ),
    "wrong-key": (
        "A ciphertext or a set of evaluation keys belongs to another key pair than the one in use. Decrypting it would "
        "give numbers without meaning and no error, so it was refused. Use what was made together."
    ),
}
