// Keeps everything in files below a folder.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "culmen/storage.hpp"

namespace culmen {

/// Options of file_storage(). An aggregate, for designated initialisers: never part of a statement with co_await
/// (GCC 12, see flow.hpp).
struct FileStorageOptions {
  /// Makes the folder if it is missing when it is used first. Otherwise, and later, a missing folder is an error: it
  /// may just not be mounted.
  bool make_folder = false;
  /// Uses NFSv3, SMB and GlusterFS too, which are refused otherwise: locks there do not exclude each other reliably.
  bool trust_shared = false;
  /// Called with something that the operator should know, once for each: a folder that others can write to, a key that
  /// others can read. On any thread, and on several at once; exceptions are ignored. May be empty.
  std::function<void(const std::string& warning)> on_warning{};
};

/// Files below `folder`, in the layout of the culmen program: docs/storage.md describes it. Web servers read
/// certificates/<id>/live/. Values under "accounts/<server>/account" and "certificates/<id>/…" must be those of
/// records.hpp and certificate_record.hpp; what does not fit is invalid_argument. They cannot expire.
///
/// Has many_in_one and prompt_changes: what one write() changes, a process that is killed changes as a whole or not at
/// all. Several processes may use one folder. Each change holds a lock for some milliseconds; who waits for it longer
/// than 30 seconds gets io_failed with the process id of the holder.
///
/// A lease ends with the object that acquired it, and with its process: at once. Until then one descriptor is open for
/// it. Only that object can renew it. While its holder lives, a lease that was not renewed for its time to live and a
/// tenth more is taken over by who asks for it twice, and saw no sign of life in between.
///
/// Errors are io_failed, and name the file: what is damaged is never taken for missing. An item of list() that cannot
/// be read has no revision and no value; load() of its key returns the error.
///
/// A relative path is one below the working folder of now. What root makes in a folder of another user is made that
/// user's.
///
/// Throws Error (invalid_argument) if the path is empty. Does no I/O before the first flow runs. Thread-safe.
std::shared_ptr<Storage> file_storage(std::filesystem::path folder, FileStorageOptions options = {});

/// The folder of a certificate below the folder of a file_storage(): its link `live` leads to the files that count.
std::filesystem::path certificate_folder(const std::filesystem::path& folder, std::string_view id);

}  // namespace culmen
