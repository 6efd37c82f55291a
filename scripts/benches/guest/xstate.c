/* For User Mode Linux on a processor with AMX, preloaded: it knows of an XSAVE area of 2,696 bytes, and the host
 * takes one only whole, which AMX has made longer (ptrace(2) fails with EFAULT). What UML does not know is left as
 * it is; no program in the guest uses it, for its kernel does not offer it. */

#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEKTEXT = 1, PEEKUSER = 3, GETREGSET = 0x4204, SETREGSET = 0x4205 };

static char whole[1 << 16];

long ptrace(int request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    long pid = va_arg(arguments, long);
    long address = va_arg(arguments, long);
    struct iovec *part = va_arg(arguments, void *);
    va_end(arguments);

    if (request >= PEEKTEXT && request <= PEEKUSER) { /* the C library's way of saying the word */
        long word;
        return syscall(SYS_ptrace, request, pid, address, &word) < 0 ? -1 : word;
    }
    if ((request != GETREGSET && request != SETREGSET) || address != NT_X86_XSTATE)
        return syscall(SYS_ptrace, request, pid, address, part);

    struct iovec all = {whole, sizeof whole};
    long done = syscall(SYS_ptrace, GETREGSET, pid, address, &all);
    if (done < 0)
        return done;
    if (part->iov_len > all.iov_len)
        part->iov_len = all.iov_len;
    if (request == GETREGSET) {
        memcpy(part->iov_base, whole, part->iov_len);
        return done;
    }
    memcpy(whole, part->iov_base, part->iov_len);
    return syscall(SYS_ptrace, SETREGSET, pid, address, &all);
}
