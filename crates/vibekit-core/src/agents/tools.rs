//! What the agents' tools are in the words of the Agent Client Protocol.

use crate::event::ToolKind;

/// The kind of a tool by its own name; `Other` for what is not known, which includes all MCP tools.
pub(super) fn kind(name: &str) -> ToolKind {
    match name {
        "Bash"
        | "bash"
        | "exec"
        | "exec_command"
        | "shell"
        | "local_shell"
        | "run_shell_command"
        | "run_terminal_command"
        | "run_terminal_cmd" => ToolKind::Execute,
        "Edit" | "Write" | "NotebookEdit" | "MultiEdit" | "edit" | "write" | "multiedit" | "patch"
        | "apply_patch" | "write_file" | "replace" | "search_replace" | "create_file"
        | "str_replace_editor" => ToolKind::Edit,
        "Read" | "read" | "read_file" | "read_many_files" | "view_file" => ToolKind::Read,
        "Grep"
        | "Glob"
        | "LS"
        | "grep"
        | "glob"
        | "list"
        | "ls"
        | "list_dir"
        | "list_directory"
        | "grep_search"
        | "search_file_content"
        | "search" => ToolKind::Search,
        "WebFetch" | "WebSearch" | "webfetch" | "websearch" | "web_fetch" | "web_search"
        | "google_web_search" => ToolKind::Fetch,
        "Task" | "Agent" | "task" | "TodoWrite" | "todowrite" | "todo_write" | "write_todos"
        | "TaskCreate" | "TaskUpdate" | "update_topic" => ToolKind::Think,
        _ => ToolKind::Other,
    }
}
