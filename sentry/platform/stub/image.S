/* The stub's image, as data of the sentry. */
	.section .rodata
	.globl stub_image, stub_image_end
	.balign 4096
stub_image:
	.incbin "stub.bin"
stub_image_end:
	.section .note.GNU-stack, "", @progbits
