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

# Compiled programs and encrypted prediction.
EXPLANATIONS |= {
    "he-client-spec": (
        "The description of an encrypted program contradicts itself: features without a place, bounds of another shape, "
        "too many rotations, or a result that does not fit. No keys were made. Take it from Program.client_spec() of "
        "the same version."
    ),
    "he-constant": (
        "All weights of a linear map are zero, so its result is the same for every input. There is nothing to compute "
        "encrypted, and the lattice library would give out a ciphertext that anybody can read. Check that the model was "
        "trained and loaded."
    ),
    "he-diagonals": (
        "The packing of a vector did not let a matrix meet every weight exactly once. This is an error in the packing, "
        "found before anything was computed. Please report it."
    ),
    "he-foreign-reply": (
        "A reply belongs to other keys, to another program or to other rows than the ones that were sent. It was not "
        "decrypted. Decrypt replies with the keys that encrypted the rows, in the order in which they come."
    ),
    "he-foreign-rows": (
        "Ciphertexts reached a program that were not encrypted as its next rows: another program, level or number. They "
        "were not evaluated. Encrypt with keys made from this program's client_spec(), and let both sides run one version."
    ),
    "he-implausible-reply": (
        "The numbers in a reply repeat in the slots, and here the copies differ, or there are more or fewer ciphertexts "
        "than rows. The server computed something else, or its result overflowed. The reply was not used. Ask again; if "
        "it happens again, compare the versions."
    ),
    "he-input-bounds": (
        "A compiled program needs the smallest and the largest value of its input, because a number beyond the range "
        "wraps around without a sign. Give two finite numbers or two arrays of the shape of one sample."
    ),
    "he-input-shape": (
        "The samples have another shape than the program takes, or there is none. Give a batch of samples, or one sample."
    ),
    "he-input-shape-missing": (
        "The model begins with a layer that takes samples of any size, such as a convolution, so the size must be said. "
        "Give input_shape, the shape of one sample without the batch."
    ),
    "he-no-factory": (
        "The server process makes its program by calling a function that is named as 'package.module:function', and "
        "this name cannot be imported there, or the function returns no program. Name a function of an importable module "
        "that returns what he.compile returns."
    ),
    "he-no-spec": (
        "Code asked for the description of a program before the server had sent it. This is an error in the calling "
        "code: run the exchange first."
    ),
    "he-out-of-bounds": (
        "Rows hold numbers outside the bounds for which the program was compiled, or missing ones. They were not "
        "encrypted, because the result could wrap around without a sign. Standardise the input as for training and clip "
        "it, or have the program compiled with wider bounds."
    ),
    "he-packing": (
        "Vectors lie in the slots of a ciphertext in rows and periods that are powers of two, and a matrix needs as many "
        "columns as its vector has numbers. The message names what does not fit."
    ),
    "he-precision": (
        "The error of the encrypted computation cannot be promised to stay within the precision, for every input within "
        "the declared bounds and in any ring of 128-bit security. Ask for the precision in the message, declare tighter "
        "input bounds, or train with smaller weights."
    ),
    "he-server-process": (
        "The process that should hold the model ended before it was ready; what it wrote stands above. Run the function "
        "that makes the program in a Python of its own to see it fail."
    ),
    "he-skip-connection": (
        "The model adds a value from before an activation to one from after it. Encrypted programs carry one value from "
        "activation to activation. Skips between two activations are fine, because they are part of one linear map."
    ),
    "he-too-deep": (
        "The model multiplies more often in sequence than any ring of 128-bit security allows at the numbers it works "
        "with. Use fewer activations or polynomials of lower degree, narrower input bounds, or smaller weights."
    ),
    "he-too-many-rows": (
        "A client ordered more predictions than one session may have. The limit is the model owner's: every result tells "
        "something of the model, and many results rebuild it. Ask for fewer, or have most_rows raised."
    ),
    "he-too-wide": (
        "A layer has more inputs or outputs than a ciphertext has slots for each row. Use fewer rows in one ciphertext, "
        "or a model with narrower layers."
    ),
    "he-unsupported-layer": (
        "Encrypted numbers can be added and multiplied, not compared: ReLU, max pooling and the like cannot be evaluated. "
        "Use squares or polynomials as activations and average pooling, and train the model with them. Sigmoid, tanh and "
        "softmax may stand at the very end, where the client applies them after decryption."
    ),
}
